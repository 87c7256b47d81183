# The product alone: API, worker and command line. PostgreSQL and Temporal run elsewhere.

FROM python:3.11-slim AS build

RUN python -m venv /opt/cuebook
ENV PATH=/opt/cuebook/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /src
COPY requirements/base.in requirements/base.txt requirements/
RUN pip install --require-hashes --requirement requirements/base.txt

COPY pyproject.toml README.md cli.py devserver.py inbound_mail.py relay.py sample_company.py worker.py ./
COPY activities activities
COPY api api
COPY documents documents
COPY exchange exchange
COPY models models
COPY workflows workflows
RUN pip install --no-deps .


FROM python:3.11-slim

RUN useradd --create-home --uid 10001 cuebook
COPY --from=build /opt/cuebook /opt/cuebook
ENV PATH=/opt/cuebook/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CUEBOOK_API_HOST=0.0.0.0 \
    CUEBOOK_INBOUND_MAIL_HOST=0.0.0.0 \
    CUEBOOK_LOG_JSON=true

USER cuebook
WORKDIR /home/cuebook
EXPOSE 8000 8025
ENTRYPOINT ["cuebook"]
CMD ["--help"]
