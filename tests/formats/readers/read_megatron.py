"""OUT PREFIX SEQUENCE_LENGTH END_OF_TEXT VOCABULARY_SIZE: documents of IndexedDataset, samples of GPTDataset."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
from megatron.core.datasets.indexed_dataset import IndexedDataset
from megatron.core.datasets.utils import Split


def main(out: Path, prefix: str, sequence_length: int, end_of_text: int, vocabulary_size: int) -> None:
    indexed = IndexedDataset(prefix)
    documents = [indexed[number] for number in range(len(indexed))]
    np.save(out / "tokens.npy", np.concatenate(documents))
    np.save(out / "lengths.npy", np.array([len(document) for document in documents]))
    np.save(out / "document_indices.npy", indexed.document_indices)
    config = GPTDatasetConfig(
        random_seed=7,
        sequence_length=sequence_length,
        blend=([prefix], None),
        split="1",
        path_to_cache=str(out / "index-cache"),
        tokenizer=SimpleNamespace(eod=end_of_text, pad=0, vocab_size=vocabulary_size, unique_identifiers={"name": "x"}),
        reset_position_ids=False,
        reset_attention_mask=False,
        eod_mask_loss=False,
        create_attention_mask=False,
    )
    dataset = GPTDataset(indexed, prefix, np.arange(len(documents), dtype=np.int32), None, Split.train, config)
    samples = [dataset[number] for number in range(len(dataset))]
    np.save(out / "inputs.npy", np.stack([sample["tokens"].numpy() for sample in samples]))
    np.save(out / "labels.npy", np.stack([sample["labels"].numpy() for sample in samples]))
    np.save(out / "document_order.npy", dataset.document_index)
    np.save(out / "sample_order.npy", dataset.shuffle_index)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
