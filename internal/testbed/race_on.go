//go:build race

package testbed

// raceDetector reports whether the test itself runs with the race detector, so that
// the gateway it starts is built with it as well.
const raceDetector = true
