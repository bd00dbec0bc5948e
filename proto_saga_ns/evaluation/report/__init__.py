"""The report on a run: facts about its instances, pictures of them, and one HTML page that needs no other file."""
