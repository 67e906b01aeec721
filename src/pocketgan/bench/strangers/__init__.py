"""`bench strangers`: what people bring, built anew in a folder that goes again, and what the program makes of it."""
