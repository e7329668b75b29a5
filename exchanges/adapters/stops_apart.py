"""What exchanges have in common that keep stop orders apart from the others: either may be what is called back."""

from exchanges.adapters.ccxt_exchange import CcxtExchange
from exchanges.core.errors import ExchangeFault, InvalidRequest, OrderNotFound, Unavailable


class StopsApart(CcxtExchange):
    def cancel_order(self, symbol: str, client_order_id: str) -> None:
        """Orders and stops are asked: only when both say that there is no such order is that the answer."""
        try:
            super().cancel_order(symbol, client_order_id)
        except (OrderNotFound, InvalidRequest, Unavailable) as fault:
            self._cancel_stop(symbol, client_order_id, fault)

    def _cancel_stop(self, symbol: str, client_order_id: str, fault: ExchangeFault) -> None:
        params = {"trigger": True, self._contract.cancel_param: self._rendered(client_order_id)}
        try:
            self._call(lambda client: client.api.cancel_order(None, symbol, params), symbol, writing=True)
        except OrderNotFound:
            raise fault from None
