# docker build -t latchkey . && docker run -p 8080:8080 -e LATCHKEY_MONGODB_URI=… latchkey
# What is installed, and how, is in deploy/install.sh, which the tests run as well.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock ./
COPY deploy/install.sh deploy/
COPY server server/
COPY handlers handlers/
COPY templates templates/
COPY static static/
COPY translations translations/
COPY docs docs/
RUN sh deploy/install.sh /opt/latchkey

FROM python:3.11-slim-bookworm
COPY --from=build /opt/latchkey /opt/latchkey
WORKDIR /opt/latchkey
# A number, so that a cluster can see that it is not root. It writes nothing.
USER 10001:10001
ENV PYTHONDONTWRITEBYTECODE=1 \
    LATCHKEY_ADDRESS=0.0.0.0 \
    LATCHKEY_LOG_FORMAT=json
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["/opt/latchkey/venv/bin/python", "-c", \
    "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/health/live', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/latchkey/venv/bin/python", "-m", "server"]
CMD ["serve"]
