"""The monthly scorecard of departments and prefectures."""
