//go:build !race

package refresh

// raceDetector says whether the tests run with the race detector.
const raceDetector = false
