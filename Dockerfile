# One image for every service: Airflow, the library, the DAGs and the contracts of this tree.
FROM python:3.11-slim-bookworm

# The index pip uses comes from the builder's own configuration; nothing is named here.
ARG PIP_INDEX_URL
ENV AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/chengxin/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/chengxin/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    CHENGXIN_HOME=/var/lib/chengxin \
    GX_ANALYTICS_ENABLED=False

RUN useradd --create-home --uid 50000 chengxin \
    && install -d -o chengxin -m 700 /opt/airflow /opt/airflow/logs /var/lib/chengxin /var/lib/chengxin/inbox /var/lib/chengxin-accesses
WORKDIR /opt/chengxin

COPY requirements.lock ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes --no-deps -r requirements.lock

# Editable: Airflow and Python see the same files in plugins/, so one copy is loaded.
COPY pyproject.toml README.md LICENSE ./
COPY plugins plugins
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation -e . \
    && python -m compileall -q plugins
COPY dags dags
COPY expectations expectations
COPY deploy/accounts.py deploy/

USER chengxin
CMD ["chengxin", "--help"]
