//go:build !full

package disk_test

// cuts is how many runs lose their power, of cutSteps steps each: more in `make test-full`.
const cuts, cutSteps = 2, 80
