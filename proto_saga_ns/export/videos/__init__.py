"""Pictures along a camera path, and the files that they become; knows neither models nor nerfstudio."""
