"""The matchers that come with the tracker."""
