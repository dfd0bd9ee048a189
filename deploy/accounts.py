"""Settings of Airflow's accounts (the FAB auth manager) in docker-compose.yml: pages in Chinese, English on demand."""

BABEL_DEFAULT_LOCALE = "zh"
LANGUAGES = {"zh": {"flag": "cn", "name": "中文"}, "en": {"flag": "gb", "name": "English"}}
