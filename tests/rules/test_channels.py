"""Each channel against a server that speaks as its provider does: what is asked, and what is made of every answer."""

import base64
import hashlib
import hmac
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from messages.settings import ConfigError, Settings, read
from rules.notices import signing
from rules.notices.channels.base import Channel, Failed, Message, Taken
from rules.notices.channels.gateway import FORM, Gateway
from rules.notices.channels.http import Http
from rules.notices.channels.others import ByApprise, Mail, Ntfy, Webhook
from rules.notices.channels.robots import (
    DingtalkRobot,
    FeishuRobot,
    WecomApp,
    WecomRobot,
    cut,
    dingtalk_sign,
    feishu_sign,
)
from rules.notices.config import ChannelText, Way, ways
from tests.fakes import Answer, Provider, postbox, provider

MESSAGE = Message(
    key="c-1/accept/0/lin",
    at_ms=1_795_000_000_000,
    level="red",
    language="zh",
    title="红 燃气泄漏",
    place="3号楼2单元101厨房",
    left="1分钟内接单",
    text='【红色】燃气泄漏\n3号楼2单元101厨房 "厨房"\n1分钟内接单',
    link="https://example.org/c/abc",
    case="c-1",
    site="junmen",
    person="lin",
)


@pytest.fixture
def there() -> Iterator[Provider]:
    with provider() as one:
        yield one


def test_a_wecom_robot_gets_text_and_mentions_a_number_or_a_member(there: Provider) -> None:
    robot = WecomRobot("k-1", there.url)
    assert robot.send(MESSAGE, "13800000001") == Taken()
    assert robot.send(MESSAGE, "LinXiaoMei") == Taken()
    assert there.asked[0].path == "/cgi-bin/webhook/send?key=k-1"
    assert there.asked[0].json == {
        "msgtype": "text",
        "text": {"content": MESSAGE.whole(), "mentioned_mobile_list": ["13800000001"]},
    }
    assert there.asked[1].json["text"]["mentioned_list"] == ["LinXiaoMei"]


def test_no_title_becomes_a_link_a_tag_or_a_mention_of_everybody(there: Provider) -> None:
    evil = '<a href="https://evil.example">点这里</a> <at user_id="all"></at> [点](https://evil.example)'
    message = replace(MESSAGE, title=evil, text=evil)
    there.answers += [Answer({"errcode": 0, "access_token": "t-1", "expires_in": 7200})]
    app = WecomApp("corp", 1000002, "s", there.url)
    app.send(message, "lin")
    app.send(replace(message, link=""), "lin")
    WecomRobot("k-1", there.url).send(message, "all")
    FeishuRobot("hook", base=there.url).send(message, "")
    said = [str(one.json) for one in there.asked if "evil.example" in str(one.json)]
    assert len(said) == 4
    for words in said:
        assert "<" not in words
        assert "](" not in words


def test_a_text_that_is_too_long_is_cut_between_characters() -> None:
    found = cut("网" * 1000, 2000)
    assert len(found.encode()) <= 2000
    assert found.endswith("网…")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer({"errcode": 0, "errmsg": "ok"}), Taken()),
        (Answer({"errcode": 45009, "errmsg": "api freq out of limit"}), 60.0),
        (Answer({"errcode": 130101, "errmsg": "send too fast"}), 600.0),
        (Answer({"errcode": 410100, "errmsg": "发送速度太快而限流"}), 600.0),
        (Answer({"errcode": False}), "for now"),
        (Answer({"errcode": 93000, "errmsg": "invalid webhook url"}), "for good"),
        (Answer({"errcode": -1, "errmsg": "system busy"}), "for now"),
        (Answer({}, status=502), "for now"),
        (Answer({}, status=404), "for good"),
        (Answer({}, status=429, headers={"retry-after": "7"}), 7.0),
        (Answer({}, status=301, headers={"location": "http://127.0.0.1:1/"}), "for good"),
        (Answer(b"<html>"), "for now"),
        (Answer(b"[]"), "for now"),
        (Answer({"welcome": True}), "for now"),
    ],
)
def test_only_the_providers_own_yes_is_one(there: Provider, answer: Answer, expected: Any) -> None:
    there.answers.append(answer)
    found = WecomRobot("k", there.url).send(MESSAGE, "all")
    if isinstance(expected, Taken):
        assert found == expected
    else:
        assert isinstance(found, Failed)
        kind = found.throttled_s or ("for good" if found.for_good else "for now")
        assert kind == expected


def test_a_provider_that_is_away_hangs_or_breaks_off_is_failed_for_now(there: Provider) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        away = WecomRobot("secret-key", f"http://127.0.0.1:{unused.getsockname()[1]}").send(MESSAGE, "")
    there.answers.append(Answer(after_s=0.6))
    slow = WecomRobot("secret-key", there.url, Http(0.2)).send(MESSAGE, "")
    for found in (away, slow):
        assert isinstance(found, Failed)
        assert not found.for_good
        assert "secret-key" not in found.why


def test_a_wecom_app_fetches_its_token_once_and_again_when_it_was_revoked(there: Provider) -> None:
    token, taken = (
        Answer({"errcode": 0, "access_token": "t-1", "expires_in": 7200}),
        Answer({"errcode": 0, "msgid": "m"}),
    )
    there.answers += [token, taken, taken, Answer({"errcode": 42001, "errmsg": "expired"}), token, taken]
    app = WecomApp("corp", 1000002, "s", there.url)
    assert [app.send(MESSAGE, "lin") for _ in range(3)] == [Taken("m")] * 3
    paths = [urlsplit(one.path).path for one in there.asked]
    assert paths == ["/cgi-bin/gettoken"] + ["/cgi-bin/message/send"] * 3 + [
        "/cgi-bin/gettoken",
        "/cgi-bin/message/send",
    ]
    assert there.asked[1].json["textcard"]["url"] == MESSAGE.link


@pytest.mark.parametrize("said", [{}, {"access_token": "t"}, {"access_token": "t", "expires_in": "soon"}])
def test_a_token_that_is_not_in_the_answer_is_a_failure_and_no_fall(there: Provider, said: dict[str, Any]) -> None:
    there.answers += [Answer({"errcode": 0, **said})]
    found = WecomApp("corp", 1000002, "s", there.url).send(MESSAGE, "lin")
    assert isinstance(found, Failed)
    assert not found.for_good


@pytest.mark.parametrize("word", ["invaliduser", "unlicenseduser"])
def test_a_member_whom_the_corporation_does_not_know_or_pay_for_is_refused_for_good(there: Provider, word: str) -> None:
    there.answers += [
        Answer({"errcode": 0, "access_token": "t", "expires_in": 7200}),
        Answer({"errcode": 0, word: "x"}),
    ]
    found = WecomApp("corp", 1, "s", there.url).send(MESSAGE, "x")
    assert isinstance(found, Failed)
    assert found.for_good


def test_a_token_that_is_refused_for_now_is_asked_for_again(there: Provider) -> None:
    there.answers += [
        Answer({"errcode": -1, "errmsg": "system busy"}),
        Answer({"errcode": 40001, "errmsg": "invalid secret"}),
    ]
    app = WecomApp("corp", 1, "s", there.url)
    found = [app.send(MESSAGE, "lin") for _ in range(2)]
    assert [isinstance(one, Failed) and one.for_good for one in found] == [False, True]


def test_dingtalk_and_feishu_sign_as_their_documentation_says(there: Provider) -> None:
    DingtalkRobot("tok", "SEC", there.url).send(MESSAGE, "13800000001")
    asked = parse_qs(urlsplit(there.asked[0].path).query)
    expected = base64.b64encode(hmac.new(b"SEC", b"1795000000000\nSEC", hashlib.sha256).digest()).decode()
    assert asked == {"access_token": ["tok"], "timestamp": ["1795000000000"], "sign": [expected]}
    assert dingtalk_sign("SEC", 1_795_000_000_000) == expected
    assert there.asked[0].json["at"] == {"atMobiles": ["13800000001"]}
    there.always = Answer({"code": 0, "msg": "success"})
    assert FeishuRobot("hook-1", "SEC", there.url).send(MESSAGE, "ou_1") == Taken()
    said = there.asked[1].json
    assert said["sign"] == feishu_sign("SEC", 1_795_000_000)
    assert said["sign"] == base64.b64encode(hmac.new(b"1795000000\nSEC", b"", hashlib.sha256).digest()).decode()


def test_a_gateway_is_asked_as_its_settings_say_and_nothing_breaks_out_of_the_template(there: Provider) -> None:
    hostile = Message(
        **{**{name: getattr(MESSAGE, name) for name in Message.__slots__}, "place": '3号楼", "x": "$secret'}
    )
    gateway = Gateway(
        url=f"{there.url}/send?to=$to",
        body='{"phone": "$to", "params": {"place": "$place", "left": "$left"}, "id": "$key"}',
        headers={"authorization": "Bearer $secret"},
        secret="s3",
        ok_field="result.code",
        id_field="result.id",
    )
    there.answers.append(Answer({"result": {"code": "OK", "id": 7}}))
    assert gateway.send(hostile, "+86 138") == Taken("7")
    (asked,) = there.asked
    assert asked.path == "/send?to=%2B86%20138"
    assert asked.json["params"] == {"place": '3号楼", "x": "$secret', "left": "1分钟内接单"}
    assert asked.headers["authorization"] == "Bearer s3"


def test_a_gateway_reads_codes_as_its_settings_say(there: Provider) -> None:
    gateway = Gateway(
        url=there.url,
        body="to=$to",
        content_type=FORM,
        ok_field="code",
        throttled_values=("BUSY",),
        again_values=("RETRY",),
    )
    there.answers += [Answer({"code": code}) for code in ("OK", "BUSY", "RETRY", "NO")]
    found = [gateway.send(MESSAGE, "1&to=2") for _ in range(4)]
    assert there.asked[0].body == b"to=1%26to%3D2"
    assert found[0] == Taken()
    assert [(one.for_good, one.throttled_s) for one in found[1:] if isinstance(one, Failed)] == [
        (False, 60.0),
        (False, None),
        (True, None),
    ]


@pytest.mark.parametrize("answer", [{"success": False}, {"success": None}, {}])
def test_a_no_in_other_words_than_were_expected_is_no_yes(there: Provider, answer: dict[str, Any]) -> None:
    there.always = Answer(answer)
    assert isinstance(Gateway(url=there.url, body="", ok_field="success", http=Http(1)).send(MESSAGE, "1"), Failed)


def test_ntfy_is_given_priority_and_link(there: Provider) -> None:
    there.always = Answer({"id": "n1"})
    assert Ntfy(there.url, "tk").send(MESSAGE, "topic-x") == Taken("n1")
    said = there.asked[0].json
    assert (said["topic"], said["priority"], said["click"]) == ("topic-x", 5, MESSAGE.link)
    assert there.asked[0].headers["authorization"] == "Bearer tk"


def test_a_webhooks_receiver_can_check_that_it_is_ours(there: Provider) -> None:
    key = base64.b64encode(b"k" * 32).decode()
    assert isinstance(Webhook(f"{there.url}/hook", signing.secret(f"whsec_{key}")).send(MESSAGE, "lin"), Taken)
    (asked,) = there.asked
    signed = f"{asked.headers['webhook-id']}.{asked.headers['webhook-timestamp']}.".encode() + asked.body
    expected = base64.b64encode(hmac.new(b"k" * 32, signed, hashlib.sha256).digest()).decode()
    assert asked.headers["webhook-signature"] == f"v1,{expected}"
    assert asked.headers["webhook-id"] == MESSAGE.key
    assert orjson.loads(asked.body)["left"] == "1分钟内接单"


def test_signatures_are_those_of_the_standard_webhooks_specification() -> None:
    """Its own example: github.com/standard-webhooks, spec, "Verifying webhook authenticity" and the libraries' tests."""
    key = signing.secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = signing.headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_mail_is_handed_over_and_a_refused_address_is_refused_for_good() -> None:
    with postbox() as box:
        mail = Mail(host="127.0.0.1", port=box.port, sender="gridcall@example.org", tls=False)
        assert isinstance(mail.send(MESSAGE, "lin@example.org"), Taken)
        assert "Subject: =?utf-8?" in box.mails[0]
        box.refused = {"gone@example.org": "550 no such user", "full@example.org": "452 full"}
        gone, full = mail.send(MESSAGE, "gone@example.org"), mail.send(MESSAGE, "full@example.org")
    assert [one.for_good for one in (gone, full) if isinstance(one, Failed)] == [True, False]
    assert isinstance(mail.send(MESSAGE, "lin@example.org"), Failed)


def test_a_header_can_not_be_put_into_a_mail(there: Provider) -> None:
    with postbox() as box:
        mail = Mail(host="127.0.0.1", port=box.port, sender="gridcall@example.org", tls=False)
        hostile = Message(
            **{**{name: getattr(MESSAGE, name) for name in Message.__slots__}, "place": "x\r\nBcc: a@b.c"}
        )
        found = mail.send(hostile, "lin@example.org")
    assert isinstance(found, Taken)
    assert not any(line.startswith("Bcc:") for line in box.mails[0].splitlines())


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # in a module of Apprise
def test_apprise_carries_what_it_knows(there: Provider) -> None:
    host = there.url.removeprefix("http://")
    assert ByApprise(f"json://{host}/{{to}}").send(MESSAGE, "lin") == Taken()
    assert there.asked[0].path == "/lin"
    there.always = Answer({}, status=500)
    assert isinstance(ByApprise(f"json://{host}/x").send(MESSAGE, "lin"), Failed)
    unknown = ByApprise("nonsense://x").send(MESSAGE, "lin")
    assert isinstance(unknown, Failed)
    assert unknown.for_good


class File(Settings):
    channels: dict[str, ChannelText]


def written(tmp_path: Path, text: str) -> dict[str, Way]:
    path = tmp_path / "rules.toml"
    path.write_text(text, encoding="utf-8")
    return ways(read(path, File).channels, tmp_path)


def test_channels_are_read_with_their_secrets_and_limits(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k-1\nmore")
    found = written(
        tmp_path,
        '[channels.group]\nsort = "wecom-robot"\nsecret_file = "key"\n'
        '[channels.sms]\nsort = "http"\nurl = "https://sms.example/send"\nbody = "to=$to"\nlevels = ["red"]\n'
        'receiver_limits = ["1/1min", "5/1h"]\n[channels.broker]\nsort = "mqtt"\n',
    )
    group: Channel | None = found["group"].channel
    assert isinstance(group, WecomRobot)
    assert group.key == "k-1"
    assert [(one.most, one.within_ms) for one in found["group"].limits] == [(20, 60_000)]
    assert found["sms"].levels == {"red"}
    assert found["broker"].channel is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[channels.x]\nsort = "wecom"\n', "should be one of"),
        ('[channels.x]\nsort = "wecom-robot"\n', "channels.x: secret_file is missing"),
        ('[channels.x]\nsort = "wecom-robot"\nsecret_file = "none"\n', "No such file"),
        ('[channels.x]\nsort = "ntfy"\nurl = "ntfy.example"\n', "rules.toml:3: channels.x.url: an address such as"),
        ('[channels.x]\nsort = "http"\nurl = "https://x/"\nbody = "$tel"\n', "no word $tel; there are: $to"),
        ('[channels.x]\nsort = "http"\nurl = "https://x/"\nbody = "cost $"\n', "a $ that begins no word"),
        ('[channels.x]\nsort = "http"\nurl = "https://x/"\nbody = "$secret"\n', "uses $secret"),
        ('[channels.x]\nsort = "webhook"\nurl = "https://x/"\nsecret = "YWE="\n', "at least 24"),
        ('[channels.x]\nsort = "mqtt"\nlimits = ["twenty"]\n', 'a limit such as "20/1min"'),
    ],
)
def test_a_wrong_channel_is_refused_by_name(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError) as error:
        written(tmp_path, text)
    assert why in str(error.value)
