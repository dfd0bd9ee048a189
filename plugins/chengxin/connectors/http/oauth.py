"""OAuth2 tokens by client credentials (RFC 6749 4.4), asked for, kept and renewed by Authlib."""

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from chengxin.connectors.http.auth import Auth, environment_secret, optional_secret
from chengxin.connectors.http.replies import BUSY, TryAgainError
from chengxin.errors import SourceUnavailable


def bare_session(connection: str, auth: Auth | None, base: str) -> requests.Session:
    """Return a session without any settings, which carries tokens where `auth` says so. base: of the URLs, with a /."""
    if auth is None or auth.kind != "oauth2":
        return requests.Session()
    key, secret = environment_secret(connection, "KEY"), environment_secret(connection, "SECRET")
    endpoint = optional_secret(connection, "TOKEN_URL") or f"{base}oauth/token"
    # No leeway of its own: `authorise` renews a token a minute before it runs out, also one that lives for less.
    session: requests.Session = OAuth2Session(key, secret, scope=auth.scope or None, token_endpoint=endpoint, leeway=0)
    return session


def authorise(session: OAuth2Session, label: str, seconds: float) -> None:
    """Let the session have a token that has not run out. Raises TryAgainError and SourceUnavailable."""
    if session.token and not session.token.is_expired():
        return
    try:
        token = session.fetch_token(grant_type="client_credentials", timeout=seconds, allow_redirects=False)
    except requests.exceptions.HTTPError as error:
        if error.response.status_code in BUSY:
            raise TryAgainError(SourceUnavailable(f"连接“{label}”的令牌服务暂时不可用")) from None
        status = error.response.status_code
        raise SourceUnavailable(f"连接“{label}”的令牌服务拒绝了请求（HTTP {status}）；请检查密钥") from None
    except OAuthError:
        raise SourceUnavailable(f"连接“{label}”的令牌服务拒绝了请求；请检查密钥") from None
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
        raise TryAgainError(SourceUnavailable(f"无法连接“{label}”的令牌服务（{type(error).__name__}）")) from None
    except (requests.exceptions.RequestException, ValueError):
        token = {}
    if not token.get("access_token"):
        forget(session)
        raise SourceUnavailable(f"连接“{label}”的令牌服务没有返回 access_token")
    token["token_type"] = "Bearer"  # noqa: S105 - whatever the server calls it, or where it does not


def forget(session: requests.Session) -> bool:
    """Forget a token that was refused, so that the next request asks for another; return whether there was one."""
    if not getattr(session, "token", None):
        return False
    session.token = None  # type: ignore[attr-defined]
    return True
