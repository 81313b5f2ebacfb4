"""The client against a server with the faults of real ones, and what is kept of answers and spent on them."""

import threading

import pytest

from tests.support.language_server import Reply, language_server
from winnow.augment import answers as kept
from winnow.augment import endpoint as client
from winnow.augment.answers import NOT_TAKEN, Answer, Answers, key_of
from winnow.augment.config import BudgetConfig, EndpointConfig
from winnow.augment.endpoint import NO_ANSWER, OVER_BUDGET, Endpoint, EndpointError, NoAnswer
from winnow.augment.spending import Most, Spending, Spent
from winnow.errors import ConfigError
from winnow.storage.local_store import LocalStore

KEY = "sk-secret-of-the-tests"


@pytest.fixture
def waits(monkeypatch):
    """How long each wait was; none of them takes time."""
    waited: list[float] = []
    monkeypatch.setenv("LLM_KEY", KEY)
    return waited


def endpoint_of(server, waits, spending=None, stopped=False, **settings) -> Endpoint:
    def wait(seconds: float) -> bool:
        if seconds > 0:
            waits.append(seconds)
        return stopped

    config = EndpointConfig(url=server.url, model="m", key_from="LLM_KEY", **settings)
    return Endpoint(config, spending or Spending(BudgetConfig(), Spent()), wait)


def replies(*given):
    """Answers one after the other, the last one for ever."""
    left = list(given)
    return lambda _prompt: left.pop(0) if len(left) > 1 else left[0]


def test_an_answer(waits):
    with language_server(lambda prompt: prompt.upper()) as server:
        endpoint = endpoint_of(server, waits, parameters={"temperature": 0.2, "top_p": 0.9}, max_answer_tokens=77)
        found = endpoint.ask(endpoint.body("two words"))
    assert found == Answer("TWO WORDS", "stop", "m-served", 2, 2)
    assert server.paths == ["/v1/chat/completions"]
    assert server.keys == {f"Bearer {KEY}"}
    assert server.asked == [
        {"temperature": 0.2, "top_p": 0.9, "model": "m", "messages": [{"role": "user", "content": "two words"}],
         "max_tokens": 77}
    ]  # fmt: skip
    assert waits == []


@pytest.mark.parametrize(
    "fault",
    [
        Reply("", status=500), Reply("", status=503), Reply("", status=429), Reply("", status=408),
        Reply("", raw=b"<html>busy</html>"), Reply("", raw=b'{"choices": []}'), Reply("", raw=b'{"error": "loading"}'),
        Reply("", raw=b"null"), Reply("", raw=b'[1]'), Reply({"a": 1}), Reply(7),
        Reply("", raw=b'{"choices": [{"message": {"content": "\\ud800"}}]}'),
        Reply("", raw=b"{", headers={"Content-Length": "2000"}),
    ],
)  # fmt: skip
def test_faults_that_may_pass_are_tried_again_with_growing_waits(waits, fault):
    with language_server(replies(fault, fault, fault, "at last")) as server:
        endpoint = endpoint_of(server, waits, timeout_seconds=0.5)
        assert endpoint.ask(endpoint.body("p")).content == "at last"
    assert waits == [1.0, 2.0, 4.0]
    assert sum(endpoint.tries.values()) == 3
    assert len(server.asked) == 4


def test_a_silent_server_is_asked_again(waits):
    with language_server(replies(Reply("late", slow=1.0), "in time")) as server:
        endpoint = endpoint_of(server, waits, timeout_seconds=0.2)
        assert endpoint.ask(endpoint.body("p")).content == "in time"


def test_the_server_says_how_long_everybody_waits(waits, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(client.time, "monotonic", lambda: now[0])
    with language_server(replies(Reply("", status=429, headers={"Retry-After": "17"}), "ok")) as server:
        endpoint = endpoint_of(server, waits)
        endpoint.ask(endpoint.body("p"))
        assert waits == [1.0, 17.0]
        endpoint.ask(endpoint.body("another"))
        assert waits == [1.0, 17.0, 17.0]  # the clock stands still: the server is left alone by others, too
        now[0] += 18
        endpoint.ask(endpoint.body("a third"))
        assert len(waits) == 3


def test_tries_come_to_an_end_and_an_endpoint_that_is_gone_ends_the_work(waits):
    with language_server(lambda _prompt: Reply("", status=503)) as server:
        endpoint = endpoint_of(server, waits, tries=2)
        for _ in range(client.FAILURES_IN_A_ROW - 1):
            with pytest.raises(NoAnswer) as told:
                endpoint.ask(endpoint.body("p"))
            assert told.value.reason == NO_ANSWER
        with pytest.raises(
            EndpointError, match=r"20 requests in a row had no answer in 2 tries each.*status 503"
        ) as told:
            endpoint.ask(endpoint.body("p"))
        assert told.value.exit_code == 75
    assert len(server.asked) == 2 * client.FAILURES_IN_A_ROW


def test_an_answer_between_failures_begins_the_count_anew(waits):
    with language_server(lambda prompt: "yes" if prompt == "good" else Reply("", status=503)) as server:
        endpoint = endpoint_of(server, waits, tries=1)
        for _ in range(3):
            for _ in range(client.FAILURES_IN_A_ROW - 1):
                with pytest.raises(NoAnswer):
                    endpoint.ask(endpoint.body("bad"))
            endpoint.ask(endpoint.body("good"))


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_that_is_not_taken_is_not_asked_again(waits, status):
    with language_server(lambda _prompt: Reply("", status=status, raw=f"too long; key {KEY}".encode())) as server:
        endpoint = endpoint_of(server, waits)
        found = endpoint.ask(endpoint.body("p"))
    assert (found.finish, found.content) == (NOT_TAKEN, f"status {status}: too long; key ***")
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_wrong_key_address_or_model_end_the_work_without_telling_the_key(waits, status):
    with language_server(lambda _prompt: Reply("", status=status, raw=f"no {KEY}".encode())) as server:
        endpoint = endpoint_of(server, waits)
        with pytest.raises(ConfigError, match=rf"status {status}: no \*\*\*; look at endpoint.url, model and key_from"):
            endpoint.ask(endpoint.body("p"))


def test_redirects_are_not_followed(waits):
    with language_server(lambda _prompt: "elsewhere") as other:
        there = Reply("", status=307, headers={"Location": f"{other.url}/chat/completions"})
        with language_server(lambda _prompt: there) as server:
            endpoint = endpoint_of(server, waits)
            with pytest.raises(ConfigError, match="redirects are not followed"):
                endpoint.ask(endpoint.body("p"))
        assert other.asked == []


def test_answers_without_counts_are_counted_as_the_most_that_they_can_be(waits):
    with language_server(lambda _prompt: Reply("abc", usage=False)) as server:
        spending = Spending(BudgetConfig(), Spent())
        endpoint = endpoint_of(server, waits, spending)
        found = endpoint.ask(endpoint.body("p"))
    assert endpoint.uncounted == 1
    assert found.prompt_tokens >= len("p") and found.answer_tokens == 3
    assert spending.spent == Spent(1, found.prompt_tokens, 3)


def test_a_missing_or_odd_key_is_told(waits, monkeypatch):
    with language_server(lambda _prompt: "a") as server:
        monkeypatch.delenv("LLM_KEY")
        with pytest.raises(ConfigError, match="the environment has no LLM_KEY"):
            endpoint_of(server, waits)
        monkeypatch.setenv("LLM_KEY", "a\nb")
        with pytest.raises(ConfigError, match="characters that no key has"):
            endpoint_of(server, waits)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://llm.example/v1", "is not encrypted; use https://, or set plain_http: true"),
        ("https://me:secret@llm.example/v1", "holds a name or a password"),
        ("ftp://llm.example", "expected an address"),
        ("https://llm.example/v1?key=secret", "expected an address"),
    ],
)
def test_addresses_that_are_refused(url, message):
    with pytest.raises(ValueError, match=message) as told:
        EndpointConfig(url=url, model="m")
    assert "secret" not in str(told.value)


def test_a_stop_ends_the_waiting(waits):
    with language_server(lambda _prompt: Reply("", status=503)) as server:
        endpoint = endpoint_of(server, waits, stopped=True)
        with pytest.raises(NoAnswer):
            endpoint.ask(endpoint.body("p"))
    assert len(server.asked) <= 1


# what is spent


@pytest.mark.parametrize(
    ("budget", "sent"),
    [
        ({"max_requests": 7}, 7),
        ({"max_tokens": 100}, 5),  # a request takes 20 at most, and here does
        ({"max_cost": 1.0, "prompt_price": 10_000.0, "answer_price": 0.0}, 10),
        ({"max_cost": 1.0, "answer_price": 20_000.0}, 5),
    ],
)
def test_a_budget_is_never_exceeded_however_many_spend_it(budget, sent):
    spending = Spending(BudgetConfig(**budget), Spent())
    most, reached = Most(10, 10), []

    def spend() -> None:
        while spending.reserve(most):
            reached.append(1)
            spending.settle(most, 10, 10)

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(reached) == sent == spending.spent.requests
    assert spending.spent.tokens == 20 * sent


def test_what_is_given_back_is_spent_by_those_who_wait():
    spending = Spending(BudgetConfig(max_tokens=100), Spent())
    assert spending.reserve(Most(50, 50))
    came: list[bool] = []
    waiting = threading.Thread(target=lambda: came.append(spending.reserve(Most(30, 30))))
    waiting.start()
    waiting.join(0.1)
    assert not came
    spending.settle(Most(50, 50), 5, 5)
    waiting.join(20)
    assert came == [True]
    assert not spending.reserve(Most(100, 100))  # more than is left, whatever comes back


def test_the_budget_holds_for_all_attempts():
    assert not Spending(BudgetConfig(max_requests=3), Spent(requests=3)).reserve(Most(1, 1))


def test_over_budget(waits):
    with language_server(lambda _prompt: "a") as server:
        endpoint = endpoint_of(server, waits, Spending(BudgetConfig(max_requests=1), Spent()))
        endpoint.ask(endpoint.body("p"))
        with pytest.raises(NoAnswer) as told:
            endpoint.ask(endpoint.body("q"))
    assert told.value.reason == OVER_BUDGET


# what is kept


def told(content: str) -> Answer:
    return Answer(content, "stop", "m", 1, 2)


def test_answers_are_found_again_by_whoever_opens_the_folder(tmp_path):
    store = LocalStore(str(tmp_path))
    first = Answers(store)
    keys = [key_of({"n": n}) for n in range(30)]
    for number, key in enumerate(keys):
        first.add(key, told(f"answer {number} \x00 日本"))
        if number % 4 == 0:
            first.flush()
    assert first.holds(keys[29])
    assert not Answers(store).holds(keys[29])  # not committed yet
    first.flush()
    for answers in (first, Answers(store)):
        assert {key: answer.content for key, answer in answers.read(keys).items()} == {
            key: f"answer {number} \x00 日本" for number, key in enumerate(keys)
        }
        assert answers.read([b"\x00" * 16]) == {}
        assert len(answers) == 30


def test_the_first_answer_counts(tmp_path):
    store, key = LocalStore(str(tmp_path)), key_of({"n": 1})
    first, second = Answers(store), Answers(store)
    first.add(key, told("first"))
    first.add(key, told("again"))
    first.flush()
    second = Answers(store)
    second.add(key, told("later"))
    second.flush()
    assert Answers(store).read([key])[key].content == "first"
    assert len(store.list(kept.FOLDER)) == 1


def test_joined_segments_hold_all_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "MOST_SMALL", 8)
    monkeypatch.setattr(kept, "JOINED_BYTES", 12_000)
    store = LocalStore(str(tmp_path))
    answers = Answers(store)
    keys = [key_of({"n": n}) for n in range(20)]
    for number, key in enumerate(keys):
        answers.add(key, told(str(number)))
        answers.flush()
    before = store.list(kept.FOLDER)
    answers.join_segments()
    assert 1 < len(store.list(kept.FOLDER)) < len(before) == 20
    answers.add(key_of({"n": 20}), told("20"))
    answers.flush()
    for opened in (answers, Answers(store)):
        assert [opened.read([key])[key].content for key in keys] == [str(n) for n in range(20)]
    assert len(Answers(store)) == 21


def test_a_damaged_segment_is_named(tmp_path):
    store = LocalStore(str(tmp_path))
    answers = Answers(store)
    answers.add(key_of({}), told("a"))
    answers.flush()
    (tmp_path / kept.FOLDER / "0000000000.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(ConfigError, match=r"0000000000.parquet: damaged .*; remove it: what it holds is asked again"):
        Answers(store)


def test_keys_tell_requests_apart_and_not_the_order_of_their_fields():
    assert key_of({"a": 1, "b": [1, 2]}) == key_of({"b": [1, 2], "a": 1})
    assert len({key_of({"a": 1}), key_of({"a": 2}), key_of({"b": 1}), key_of({"a": "1"})}) == 4
