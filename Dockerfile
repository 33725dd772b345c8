# Flightdeck in a container: its pages on port 8501, everything it keeps in one volume.
#
#   docker build -t flightdeck .
#   docker run --rm -p 127.0.0.1:8501:8501 -v flightdeck:/home/flightdeck/workspace flightdeck
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 flightdeck \
    && install --directory --owner=flightdeck /home/flightdeck/workspace
WORKDIR /flightdeck

COPY requirements.txt ./
COPY requirements/uv.txt requirements/
RUN pip install --no-cache-dir --requirement requirements/uv.txt \
    && uv pip install --system --no-cache --compile-bytecode --requirement requirements.txt

COPY . .

USER flightdeck
# Inside a container, 127.0.0.1 is the container's own: the pages listen on all of its addresses,
# and `docker run -p 127.0.0.1:…` decides who reaches them. MLflow and the gateway stay inside.
ENV FLIGHTDECK_HOME=/home/flightdeck/workspace \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0
VOLUME /home/flightdeck/workspace
EXPOSE 8501

HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import sys; from pipelines.settings import settings; from pipelines.services import running; sys.exit(len(running(settings())) < 4)"]

STOPSIGNAL SIGTERM
CMD ["python", "-m", "pipelines", "up"]
