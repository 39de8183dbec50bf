package signature

import "fmt"

// sources checks where stamps and IDs are.
func (c *compiler) sources() error {
	stamps := []struct {
		line   string
		spec   *StampSpec
		source *Source
	}{{"timestamp", c.spec.Timestamp, &c.scheme.stampSource}, {"event_time", c.spec.EventTime, &c.scheme.eventSource}}
	for _, stamp := range stamps {
		if stamp.spec == nil {
			continue
		}
		if err := c.checkSource(stamp.spec.Source); err != nil {
			return fmt.Errorf("%s: %w", stamp.line, err)
		}
		if err := checkStampFormat(stamp.spec.Format); err != nil {
			return fmt.Errorf("%s: %w", stamp.line, err)
		}
		*stamp.source = stamp.spec.Source.canonical()
	}
	for _, source := range c.spec.ID {
		if err := c.checkSource(source); err != nil {
			return fmt.Errorf("id: %w", err)
		}
	}
	if len(c.spec.ID) > 0 {
		c.scheme.idSource = c.spec.ID[0].canonical()
	}
	return nil
}

func (c *compiler) checkSource(source Source) error {
	if source.Kind == SourceClaim && c.spec.Named != namedJWT {
		return fmt.Errorf("%s needs the line scheme jwt", source)
	}
	return source.Check()
}
