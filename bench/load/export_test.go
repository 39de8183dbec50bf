package load

import "time"

func init() { grace = 2 * time.Minute }
