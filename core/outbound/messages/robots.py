"""Chat robots that answer 200 to what they refuse (WeCom, DingTalk): whether a message was taken stands in the answer.

apprise reads their URLs and takes any 200 as taken; it also encodes DingTalk's signature twice, which refuses it.
"""

import base64
import hashlib
import hmac
import time
from typing import Any

import httpx
from apprise.plugins.dingtalk import NotifyDingTalk
from apprise.plugins.wecombot import NotifyWeComBot

from core.erp.kernel.outbox import RetryLater

TIMEOUT = 8.0


def is_robot(service: object) -> bool:
    """Whether it is one of them."""
    return isinstance(service, NotifyWeComBot | NotifyDingTalk)


def post(service: Any, text: str) -> None:
    """Hands it the text. Raises RetryLater with its own code (of WeCom 45009: too many a minute) where it refuses."""
    said: dict[str, Any] = {"msgtype": "text", "text": {"content": text}}
    if isinstance(service, NotifyDingTalk):
        url, params = service.notify_url.format(token=service.token), _signed(service.secret)
        if service.targets:
            said["at"] = {"atMobiles": service.targets, "isAtAll": False}
    else:
        url, params = service.api_url, {}
    try:
        answer = httpx.post(url, json=said, params=params or None, timeout=TIMEOUT, follow_redirects=False)
    except httpx.HTTPError as error:
        raise RetryLater(f"the robot is away: {type(error).__name__}") from error
    code = _code(answer)
    if code != "0":
        raise RetryLater(f"the robot has not taken it ({code})")


def _signed(secret: str | None) -> dict[str, str]:
    """DingTalk's signature (open.dingtalk.com, custom robots): base64 of HMAC-SHA256 over time and secret."""
    if not secret:
        return {}
    stamp = str(round(time.time() * 1000))
    mac = hmac.digest(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256)
    return {"timestamp": stamp, "sign": base64.b64encode(mac).decode()}


def _code(answer: httpx.Response) -> str:
    """Its own code, "0" where it has taken the message; else HTTP's."""
    if not answer.is_success:
        return str(answer.status_code)
    try:
        return str(answer.json()["errcode"])
    except (ValueError, KeyError, TypeError):
        return "an answer that is none of a robot's"
