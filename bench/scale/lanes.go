package main

import (
	"fmt"
	"slices"
)

// lanes is how many slots of a Cluster an inbox is spread over.
const lanes = 16

// slotsOf returns the slot of each lane of so many inboxes. As in a Cluster, the lane's name
// decides.
func slotsOf(inboxes int) []int {
	var of []int
	for inbox := range inboxes {
		for lane := range lanes {
			of = append(of, slotOf(fmt.Sprintf("wg:inbox/inbox%d/%d", inbox+1, lane)))
		}
	}
	return of
}

// masterOf returns which of so many masters has a slot, where they have equal ranges of them.
func masterOf(slot, masters int) int { return slot * masters / slots }

// mostOn returns how many of these slots the master has that has the most.
func mostOn(slots []int, masters int) int {
	on := make([]int, masters)
	for _, slot := range slots {
		on[masterOf(slot, masters)]++
	}
	return slices.Max(on)
}

const slots = 16384

// slotOf returns the slot of a key's hash tag: its CRC-16 (XMODEM).
func slotOf(tag string) int {
	var crc uint16
	for _, b := range []byte(tag) {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % slots
}
