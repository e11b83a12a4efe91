"""Success classifiers: examples from datasets, training, measuring, writing."""
