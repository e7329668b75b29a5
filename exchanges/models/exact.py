"""A decimal column that keeps every digit on SQLite too."""

from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from exchanges.core.decimals import plain

if TYPE_CHECKING:
    Base = models.DecimalField[Any, Any]
else:
    Base = models.DecimalField


class ExactDecimalField(Base):
    """Django's own decimal column keeps 15 significant digits on SQLite, which has no decimals: too few for a book.

    There this one stores plain text ("0" for zero, no trailing zeros), which still compares rightly with zero in a
    constraint, but neither sorts nor adds up in SQL. On PostgreSQL it is an ordinary ``numeric``.
    """

    def get_internal_type(self) -> str:
        return "ExactDecimalField"

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "text" if connection.vendor == "sqlite" else f"numeric({self.max_digits}, {self.decimal_places})"

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        value = value if prepared else self.get_prep_value(value)
        if not isinstance(value, Decimal):
            return value
        exact = value.quantize(Decimal(1).scaleb(-self.decimal_places), context=Context(prec=self.max_digits))
        return plain(exact) if connection.vendor == "sqlite" else exact

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Decimal | None:
        return None if value is None else Decimal(str(value))
