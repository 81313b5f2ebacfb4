"""What requests may take and have taken: nothing is sent that might go over the budget."""

import threading
from dataclasses import dataclass, replace

from winnow.augment.config import BudgetConfig


@dataclass(frozen=True)
class Spent:
    """Requests sent and tokens counted."""

    requests: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Of prompts and answers."""
        return self.prompt_tokens + self.answer_tokens


@dataclass(frozen=True)
class Most:
    """What one request may take at most."""

    prompt_tokens: int
    answer_tokens: int


class Spending:
    """A budget that several threads spend.

    A request reserves the most that it can take before it is sent, and gives back what it did not take. Where nothing
    is left for it but others are still out, it waits for what they give back.
    """

    def __init__(self, budget: BudgetConfig, spent: Spent) -> None:
        self._budget = budget
        self._changed = threading.Condition()
        self._out: list[Most] = []
        self.spent = spent

    def reserve(self, most: Most) -> bool:
        """Whether a request may be sent; it is counted as sent then, and must be :meth:`settle`-d."""
        with self._changed:
            while not self._fits(most, self._out):
                if not self._out or not self._fits(most, []):
                    return False
                self._changed.wait()
            self._out.append(most)
            self.spent = replace(self.spent, requests=self.spent.requests + 1)
            return True

    def settle(self, most: Most, prompt_tokens: int, answer_tokens: int) -> None:
        """What a request that was reserved has taken."""
        with self._changed:
            self._out.remove(most)
            self.spent = replace(
                self.spent,
                prompt_tokens=self.spent.prompt_tokens + prompt_tokens,
                answer_tokens=self.spent.answer_tokens + answer_tokens,
            )
            self._changed.notify_all()

    @property
    def cost(self) -> float:
        """Of what is spent, by the prices of the budget."""
        return self._budget.cost(self.spent.prompt_tokens, self.spent.answer_tokens)

    def _fits(self, most: Most, out: list[Most]) -> bool:
        budget, spent = self._budget, self.spent
        prompts = spent.prompt_tokens + most.prompt_tokens + sum(other.prompt_tokens for other in out)
        answers = spent.answer_tokens + most.answer_tokens + sum(other.answer_tokens for other in out)
        return (
            (budget.max_requests is None or spent.requests < budget.max_requests)
            and (budget.max_tokens is None or prompts + answers <= budget.max_tokens)
            and (budget.max_cost is None or budget.cost(prompts, answers) <= budget.max_cost)
        )
