//go:build full

package disk_test

const cuts, cutSteps = 12, 150
