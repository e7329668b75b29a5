"""JSON about strategies."""

from django.http import HttpRequest
from ninja import Router

from accounts.auth import TokenAuth
from strategies import queries
from strategies.schemas import StrategiesOut

router = Router(tags=["Strategies"])


@router.get("/strategies/list", auth=TokenAuth("read"), response=StrategiesOut)
def list_strategies(request: HttpRequest) -> dict[str, object]:
    """Every strategy with the JSON Schema of its parameters."""
    return {"items": queries.list_strategies()}
