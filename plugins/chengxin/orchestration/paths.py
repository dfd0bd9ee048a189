"""Where our pages lie below Airflow's address."""

PREFIX = "/chengxin"


def base_path() -> str:
    """Return the path under which Airflow is served, without a slash at its end."""
    from urllib.parse import urlsplit

    from airflow.sdk import conf

    return urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
