"""OUT: articles of the dump that gensim brings, as gensim reads it: ids, titles, redirects; and where the dump lies."""

import bz2
import sys
from pathlib import Path

import gensim
import numpy as np
from gensim.corpora.wikicorpus import extract_pages

DUMP = "test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"


def main(out: Path) -> None:
    path = Path(gensim.__file__).parent / DUMP
    with bz2.open(path) as file:
        pages = [page for page in extract_pages(file, filter_namespaces=("0",)) if page[1]]  # of others no text
    np.save(out / "path.npy", np.array(str(path)))
    np.save(out / "ids.npy", np.array([page for _, _, page in pages]))
    np.save(out / "titles.npy", np.array([title for title, _, _ in pages]))
    np.save(out / "redirects.npy", np.array([text.lstrip()[:9].lower() == "#redirect" for _, text, _ in pages]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
