// The candlestick chart of one bot: entries ▲, exits ▼, indicators over it or in panes of their own.
"use strict";
(() => {
  const holder = document.getElementById("chart");
  if (!holder || !window.LightweightCharts) return;
  const L = window.LightweightCharts;
  const legend = document.getElementById("chart-legend");
  const STROKES = ["--accent", "--paper", "--live", "--muted"];
  let chart = null, candles = null, marks = null, entryLine = null, levelLines = [], shape = "", lines = new Map(), named = [];

  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  // Custom properties hold light-dark(); a computed colour, painted once, is one that a canvas understands.
  function colour(name, alpha = 1) {
    probe.className = "swatch swatch" + name;
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = getComputedStyle(probe).color;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b] = context.getImageData(0, 0, 1, 1).data;
    return `rgba(${r}, ${g}, ${b}, ${alpha})`;
  }
  const places = (tick) => Math.max(0, Math.min(8, Math.round(-Math.log10(tick))));
  const grouped = (value, digits) => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const point = (time, value) => (value === null ? { time } : { time, value });

  function look() {
    return {
      layout: { background: { color: "transparent" }, textColor: colour("--muted"), fontFamily: "Inter, system-ui, sans-serif", fontSize: 11, attributionLogo: false,
        panes: { separatorColor: colour("--line"), separatorHoverColor: colour("--line"), enableResize: false } },
      grid: { vertLines: { color: colour("--line", 0.5) }, horzLines: { color: colour("--line", 0.5) } },
      rightPriceScale: { borderColor: colour("--line") },
      timeScale: { borderColor: colour("--line") },
    };
  }
  function candleLook() {
    const up = colour("--gain"), down = colour("--loss");
    // Rising candles are hollow: up and down differ by fill as well as by colour.
    return { upColor: colour("--surface"), borderUpColor: up, wickUpColor: up, downColor: down, borderDownColor: down, wickDownColor: down };
  }

  function build(data) {
    if (chart) chart.remove();
    holder.replaceChildren();
    holder.classList.toggle("several", data.panes.length > 1);
    lines = new Map();
    named = [];
    const seconds = /s$/.test(data.timeframe);
    chart = L.createChart(holder, {
      ...look(), autoSize: true,
      crosshair: { mode: L.CrosshairMode.Normal },
      timeScale: { ...look().timeScale, timeVisible: true, secondsVisible: seconds, rightOffset: 4, minBarSpacing: 1 },
      handleScroll: { vertTouchDrag: false },
    });
    const precision = places(data.tick);
    const money = { type: "custom", minMove: data.tick, formatter: (value) => grouped(value, precision) };
    candles = chart.addSeries(L.CandlestickSeries, { ...candleLook(), priceFormat: money });
    marks = L.createSeriesMarkers(candles, []);
    let stroke = 0;
    const line = (indicator, pane, format) => {
      const series = chart.addSeries(L.LineSeries, { color: colour(STROKES[stroke++ % STROKES.length]), lineWidth: 1.5, priceLineVisible: false, lastValueVisible: pane > 0, crosshairMarkerRadius: 3, priceFormat: format }, pane);
      lines.set(indicator.name, series);
      named.push([indicator.name, series]);
      for (const level of indicator.lines || []) {
        series.createPriceLine({ price: level.value, color: colour("--line-strong"), lineWidth: 1, lineStyle: L.LineStyle.Dashed, axisLabelVisible: true, title: level.label });
      }
    };
    for (const indicator of data.overlays) line(indicator, 0, money);
    data.panes.forEach((indicator, index) => line(indicator, index + 1, { type: "price", precision: 2, minMove: 0.01 }));
    chart.panes().forEach((pane, index) => pane.setStretchFactor(index === 0 ? 3 : 1));
    chart.subscribeCrosshairMove((move) => read(data, move));
  }

  function read(data, move) {
    const bar = move && move.seriesData && move.seriesData.get(candles);
    const last = data.candles[data.candles.length - 1];
    const [time, open, high, low, close] = bar ? [bar.time, bar.open, bar.high, bar.low, bar.close] : last || [];
    if (time === undefined) return;
    const precision = places(data.tick), show = (value) => grouped(value, precision);
    const readings = named.map(([name, series]) => {
      const here = bar ? move.seriesData.get(series) : null;
      const all = [...data.overlays, ...data.panes].find((indicator) => indicator.name === name).values;
      const value = here ? here.value : bar ? undefined : all[all.length - 1];
      return value === undefined || value === null ? "" : ` · ${name} ${value.toLocaleString("en-US", { maximumFractionDigits: 2, minimumFractionDigits: 2 })}`;
    });
    const trades = data.markers.filter((mark) => mark.time === time).map((mark) => ` · ${mark.side === "buy" ? "▲ bought" : "▼ sold"} ${mark.text} at ${show(mark.price)}`).join("");
    legend.textContent = `${new Date(time * 1000).toISOString().slice(0, 19).replace("T", " ")} UTC · open ${show(open)} · high ${show(high)} · low ${show(low)} · close ${show(close)}${readings.join("")}${trades}`;
  }

  // The lines of a grid are shown with the candles, unless these would become too small to be read.
  function withLevels(info, levels) {
    if (!info || !info.priceRange || !levels.length) return info;
    const { minValue, maxValue } = info.priceRange;
    const low = Math.min(minValue, ...levels), high = Math.max(maxValue, ...levels);
    return high - low > 5 * (maxValue - minValue) ? info : { ...info, priceRange: { minValue: low, maxValue: high } };
  }
  // The newest candles; where nothing was traded on them, those around the last trade.
  function firstLook(data, times) {
    const last = data.markers.length ? times.indexOf(data.markers[data.markers.length - 1].time) : -1;
    const end = last >= 0 && last < times.length - 110 ? last + 30 : times.length + 3;
    return { from: Math.max(0, end - 123), to: end };
  }

  function draw(data) {
    const wanted = [data.timeframe, ...data.overlays.map((o) => o.name), "|", ...data.panes.map((p) => p.name)].join();
    const fresh = wanted !== shape;
    if (fresh) { build(data); shape = wanted; }
    const times = data.candles.map((row) => row[0]);
    candles.setData(data.candles.map(([time, open, high, low, close]) => ({ time, open, high, low, close })));
    for (const indicator of [...data.overlays, ...data.panes]) {
      lines.get(indicator.name).setData(times.map((time, index) => point(time, indicator.values[index])));
    }
    const up = colour("--gain"), down = colour("--loss");
    marks.setMarkers(data.markers.map(({ time, side }) => side === "buy"
      ? { time, position: "belowBar", shape: "arrowUp", color: up, size: 1.4 }
      : { time, position: "aboveBar", shape: "arrowDown", color: down, size: 1.4 }));
    levelLines.forEach((each) => candles.removePriceLine(each));
    const levels = data.levels || [];
    levelLines = levels.map((price, index) => {
      const title = index === 0 ? "lower" : index === levels.length - 1 ? "upper" : "";
      return candles.createPriceLine({ price, color: colour("--muted", 0.6), lineWidth: 1, lineStyle: L.LineStyle.Dashed, axisLabelVisible: title !== "", title });
    });
    candles.applyOptions({ autoscaleInfoProvider: (original) => withLevels(original(), levels) });
    if (entryLine) candles.removePriceLine(entryLine);
    entryLine = data.entry_price === null ? null : candles.createPriceLine({ price: data.entry_price, color: colour("--accent"), lineWidth: 1, lineStyle: L.LineStyle.Dotted, axisLabelVisible: true, title: "entry" });
    if (fresh) chart.timeScale().setVisibleLogicalRange(firstLook(data, times));
    read(data, null);
  }

  let latest = null, asked = false;
  async function refresh() {
    if (asked) return;
    asked = true;
    try {
      const answer = await fetch(holder.dataset.src, { headers: { Accept: "application/json" } });
      const data = await answer.json();
      if (!answer.ok || data.trouble) throw new Error(data.trouble || `the server answered ${answer.status}.`);
      latest = data;
      if (data.candles.length) draw(data);
    } catch (error) {
      if (!chart) holder.querySelector("p").textContent = `No chart: ${error.message}`;
      legend.textContent = chart ? "The chart could not be refreshed; it shows what was known before." : "";
    } finally { asked = false; }
  }
  function recolour() {
    if (!latest || !chart) return;
    shape = "";
    draw(latest);
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  document.addEventListener("live:changed", refresh);
  refresh();
})();
