def learnt_runs(tokenizer, row):
    """A row's whole text, and the runs of it that are learnt. Fails where a label is not the token itself."""
    runs, before = [], -100
    for token, label in zip(row["input_ids"], row["labels"]):
        if label != -100:
            assert label == token
            if before == -100:
                runs.append([])
            runs[-1].append(token)
        before = label
    return {"whole": tokenizer.decode(row["input_ids"]), "learnt": [tokenizer.decode(run) for run in runs]}
