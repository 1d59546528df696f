"""The search of the pages: English by words, Chinese by pairs of characters.

Chinese has no spaces, and a browser has no dictionary to divide a query with. So a text in Chinese
goes into the index as each of its characters and each pair of neighbours, and a query is divided in
the same way: a page that has all pairs of a query is found.
"""

import re
from typing import TYPE_CHECKING

from sphinx.search.en import SearchEnglish

if TYPE_CHECKING:
    from sphinx.application import Sphinx

WORD = re.compile(r"[\u3400-\u9fff]+|[^\W\u3400-\u9fff]+")
CHINESE = re.compile(r"[\u3400-\u9fff]+")


class EnglishAndChinese(SearchEnglish):
    """English as Sphinx has it; of Chinese, pairs of characters."""

    lang = "english-and-chinese"
    js_splitter_code = r"""
function splitQuery(query) {
  const words = query.match(/[\u3400-\u9fff]+|(?:(?![\u3400-\u9fff])[\p{L}\p{N}_])+/gu) || [];
  return words.flatMap((word) => {
    if (!/^[\u3400-\u9fff]{3,}$/u.test(word)) return [word];
    return [...word.slice(1)].map((second, i) => word[i] + second);
  });
}
"""

    def split(self, text: str) -> list[str]:
        """Return the words of a text."""
        return [part for word in WORD.findall(text) for part in parts(word)]


def parts(word: str) -> list[str]:
    """Return an English word alone; of Chinese each character, and each two neighbours."""
    if not CHINESE.fullmatch(word):
        return [word]
    return [*word, *(word[i : i + 2] for i in range(len(word) - 1))]


def setup(app: "Sphinx") -> dict[str, bool]:
    """Tell Sphinx how the search divides text."""
    app.add_search_language(EnglishAndChinese)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
