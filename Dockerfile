# Wheels are built and installed where a compiler may be added; what serves has none.
FROM python:3.13-slim-trixie AS requirements
COPY requirements.txt /
# The sources of translations, and ReDoc, which is not what shows the schema, are read by nothing.
RUN pip install --no-cache-dir --require-hashes --ignore-installed --prefix /installed --requirement /requirements.txt \
 && find /installed -name '*.po' -delete -o -path '*/drf_spectacular_sidecar/redoc*' -delete


FROM python:3.13-slim-trixie

LABEL org.opencontainers.image.title="tetraDX backend" \
      org.opencontainers.image.description="Referrals of patients to the branches of medical laboratories" \
      org.opencontainers.image.version="1.0.0" \
      org.opencontainers.image.licenses="MIT"

RUN useradd --uid 10001 --no-log-init --no-create-home --shell /usr/sbin/nologin tetradx \
 && install --directory --owner=10001 --group=10001 --mode=750 /var/log/tetradx

# A layer of their own, which only a changed requirements.txt makes anew.
COPY --from=requirements /installed /usr/local

WORKDIR /app
COPY . .

# Nothing is written later, so all is compiled and collected here. The keys have to be there and are
# used for nothing.
RUN python -m compileall -q . \
 && SECRET_KEY=not-used-while-the-static-files-are-being-collected \
    JWT_SIGNING_KEY=nor-is-this-one-while-the-static-files-are-being-collected \
    ALLOWED_HOSTS=localhost \
    DATABASE_URL=postgres://localhost/unused \
    python manage.py collectstatic --no-input

# As a number, so that Kubernetes can tell that it is not root.
USER 10001:10001

# By the port mapping alone is it decided who reaches this.
ENV HOST=0.0.0.0 \
    PORT=8000 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
EXPOSE 8000

# The process alone is asked: a restart does not bring a lost database back.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]

CMD ["gunicorn", "-c", "gunicorn_config.py", "_tetradx.wsgi"]
