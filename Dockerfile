# Flightdeck in a container: its pages on port 8501, everything it keeps in one volume.
#
#   docker build -t flightdeck .
#   docker run --rm --init -p 127.0.0.1:8501:8501 -p 127.0.0.1:5600:5600 -v flightdeck:/home/flightdeck/workspace flightdeck
#
# compose.yaml runs each service in a container of its own. Behind a mirror or a proxy, pip's own settings
# can be lent to the build; they stay out of the image:
#
#   docker build --secret id=pip.conf,src=$HOME/.config/pip/pip.conf -t flightdeck .
FROM python:3.11.14-slim-bookworm AS libraries
WORKDIR /build
COPY requirements.txt ./
# The file names every library with its version, so nothing is left to be resolved. The libraries' own tests
# stay out.
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    python -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --no-cache-dir --no-deps --requirement requirements.txt \
    && /opt/venv/bin/python -m pip check \
    && find /opt/venv -type d -path '*/site-packages/*/tests' -prune -exec rm -rf {} +

FROM python:3.11.14-slim-bookworm
RUN useradd --create-home --uid 1000 flightdeck \
    && install --directory --owner=flightdeck --group=flightdeck /home/flightdeck/workspace
COPY --from=libraries /opt/venv /opt/venv
WORKDIR /flightdeck
COPY .streamlit .streamlit
COPY static static
COPY notebooks notebooks
COPY requirements.txt app.py ./
COPY pages pages
COPY pipelines pipelines
RUN /opt/venv/bin/python -m compileall -q pages pipelines

# Which code the image was made of: git rev-parse --short=12 HEAD. Each run records it.
ARG FLIGHTDECK_CODE=unknown
# Inside a container 127.0.0.1 is the container's own: services listen on all of its addresses, and
# `docker run -p 127.0.0.1:…` decides who reaches them.
ENV PATH=/opt/venv/bin:$PATH \
    FLIGHTDECK_CODE=$FLIGHTDECK_CODE \
    FLIGHTDECK_HOME=/home/flightdeck/workspace \
    FLIGHTDECK_LISTEN=0.0.0.0
USER 1000:1000
VOLUME /home/flightdeck/workspace
EXPOSE 8501 8600 5600

HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "pipelines.services.alone"]

STOPSIGNAL SIGTERM
CMD ["python", "-m", "pipelines", "up", "--no-browser"]
