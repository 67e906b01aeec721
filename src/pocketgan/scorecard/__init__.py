"""The scorecard: every metric of a set of images, each beside what real images get, and what is wrong in words."""
