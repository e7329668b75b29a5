# One image for web, workers, beat and migrations; docker-compose.yml says who runs what.
FROM python:3.11-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin tradingbot
COPY requirements.lock ./
RUN pip install --only-binary :all: --require-hashes --requirement requirements.lock
COPY . .
# Nothing is written here at run time; the folder only has to exist.
RUN python -m compileall -q accounts bots exchanges strategies tradingbot && mkdir -p var/static

USER tradingbot
EXPOSE 8000
ENTRYPOINT ["/app/deploy/entrypoint.sh"]
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "/app/deploy/probe.py"]
CMD ["uvicorn", "tradingbot.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--lifespan", "off", \
     "--timeout-graceful-shutdown", "10", "--no-proxy-headers", "--no-server-header", "--no-access-log"]
