"""A shipped strategy behind `execute` alone, as a third party would write one."""

from strategies.core.strategy import BaseStrategy


def execute_only(inner):
    class ExecuteOnly(BaseStrategy):
        name = f"{inner.name}_execute_only"
        minimum = inner.minimum
        warmup = inner.warmup

        def execute(self, ticker_data, context):
            return inner.execute(ticker_data, context)

    return ExecuteOnly()
