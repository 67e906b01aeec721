"""The folder of a run, and what its files hold. Trainer, report and all that watches meet only here."""
