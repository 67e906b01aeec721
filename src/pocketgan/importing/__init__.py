"""What strangers bring: their weights, safely, into model folders of this program."""
