"""Our own steps: literal tables of what goes in and what comes out."""

import pyarrow as pa
import pytest

from winnow.text.normalise.config import NormaliseConfig
from winnow.text.normalise.normalise import Normaliser

CASES = [
    ("lowercase", "ÀB Σας İ ẞ", "àb σας i̇ ß"),
    ("mask_urls", "see http://a.b/c?d=e#f. Or (https://x.org/y)!", "see [URL]. Or ([URL])!"),
    ("mask_urls", "WWW.Example.com, ftp://host/file;", "[URL], [URL];"),
    ("mask_urls", '<a href="http://q.r">', '<a href="[URL]">'),
    ("mask_urls", "http:// alone, xhttp://no, www. nothing", "http:// alone, xhttp://no, www. nothing"),
    ("mask_urls", "请访问http://a.b/c?d=e。谢谢", "请访问[URL]。谢谢"),
    ("mask_urls", "见https://x.org，还有（www.y.cn）、http://z.cn/路径", "见[URL]，还有（[URL]）、[URL]路径"),
    ("mask_urls", "「http://a.jp/x」を見て。http://b.jpです", "「[URL]」を見て。[URL]です"),
    ("mask_urls", "주소는 http://a.kr/b입니다, “http://c.kr”", "주소는 [URL]입니다, “[URL]”"),
    ("mask_urls", "ไปที่http://a.th/bนะ", "ไปที่[URL]นะ"),
    ("mask_urls", "смотриhttp://a.ru/путь тут", "смотри[URL] тут"),
    ("mask_urls", "全角ｗｗｗ．x 没有www.", "全角ｗｗｗ．x 没有www."),
    ("mask_emails", "邮箱a.b@c.cn。写给我", "邮箱[EMAIL]。写给我"),
    ("mask_emails", "mail john.doe+tag@mail.example.co.uk, or a@b", "mail [EMAIL], or a@b"),
    ("mask_emails", "<x_y%z@host-1.de>.", "<[EMAIL]>."),
    ("mask_emails", "a@b.c d@e.f1 @handle x@.com", "a@b.c d@e.f1 @handle x@.com"),
    ("remove_symbols", "1+1=2 €5 ~ ^_^ → 😀 don't & so*on %", "112 5  _   don't & so*on %"),
]


@pytest.mark.parametrize(("step", "before", "after"), CASES)
def test_step(step: str, before: str, after: str) -> None:
    result = Normaliser(NormaliseConfig(**{step: True}))(pa.array(["other", before], pa.large_string()))
    assert result.texts.to_pylist() == ["other", after]
    assert result.documents_changed == (before != after)


def test_steps_run_after_the_repair_and_in_order() -> None:
    config = NormaliseConfig(lowercase=True, mask_urls=True, mask_emails=True, remove_symbols=True)
    result = Normaliser(config)(pa.array(["ＨＴＴＰ://X.Y/Z “É” A@B.CD $1\r\n"], pa.large_string()))
    assert result.texts.to_pylist() == ['[URL] "é" [EMAIL] 1\n']


def test_without_ftfy() -> None:
    result = Normaliser(NormaliseConfig(ftfy=False, lowercase=True))(pa.array(["“A”\r\n"], pa.large_string()))
    assert result.texts.to_pylist() == ["“a”\r\n"]


def test_hostile_input_takes_linear_time() -> None:
    hostile = [
        "a" * 200_000 + "@",
        "a@" + "b." * 100_000 + "1",
        "http://" + "." * 200_000,
        "a.-" * 60_000 + "@x",
    ]
    config = NormaliseConfig(ftfy=False, mask_urls=True, mask_emails=True)
    assert Normaliser(config)(pa.array(hostile, pa.large_string())).texts.to_pylist() == hostile
