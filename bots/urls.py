"""Every trading page; included under app/."""

from django.urls import URLPattern, URLResolver, include, path

from bots.views import chart, dashboard, keys, risk, runs, starting, trades

urlpatterns: list[URLPattern | URLResolver] = [
    path("", dashboard.dashboard, name="bots_dashboard"),
    path("checklist/hide/", dashboard.hide_checklist, name="bots_hide_checklist"),
    path("bots/", runs.run_list, name="bots_list"),
    path("bots/new/", starting.run_new, name="bots_new"),
    path("bots/<int:run_id>/", runs.run_detail, name="bots_detail"),
    path("bots/<int:run_id>/pause/", runs.run_pause, name="bots_pause"),
    path("bots/<int:run_id>/resume/", runs.run_resume, name="bots_resume"),
    path("bots/<int:run_id>/stop/", runs.run_stop, name="bots_stop"),
    path("bots/<int:run_id>/candles/", chart.candle_table, name="bots_candles"),
    path("bots/<int:run_id>/chart.json", chart.chart, name="bots_chart"),
    path("orders/<int:order_id>/", runs.order_detail, name="bots_order"),
    path("trades/", trades.trade_list, name="bots_trades"),
    path("trades/trades.csv", trades.trade_csv, name="bots_trades_csv"),
    path("risk/", risk.risk_page, name="bots_risk"),
    path("risk/stop/", risk.stop_all, name="bots_stop_all"),
    path("risk/limits/", risk.limits, name="bots_limits"),
    path("keys/", keys.key_list, name="bots_keys"),
    path("keys/<int:key_id>/arm/", keys.key_arm, name="bots_key_arm"),
    path("keys/<int:key_id>/disarm/", keys.key_disarm, name="bots_key_disarm"),
    path("keys/<int:key_id>/delete/", keys.key_delete, name="bots_key_delete"),
    path("keys/", include("exchanges.urls")),
    path("strategies/", include("strategies.urls")),
]
