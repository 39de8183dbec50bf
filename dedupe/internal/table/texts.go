package table

// texts holds short texts, one or more cells each. Like the entries, cells are numbered
// slots of pages without a pointer, which are reused and never given back.
type texts struct {
	pages  []*[pageSize]cell
	vacant int32 // the first of a chain of cells that were used; 0: none
	made   int32 // how many cells there are; their numbers begin at 1
	used   int   // how many are in use
}

// cell is a part of a text.
type cell struct {
	next  int32 // the number of the cell with the following part
	bytes [cellText]byte
}

const (
	cellSize = 32
	cellText = cellSize - 4
)

// add keeps a text, which is not empty, and returns the number of its first cell.
func (t *texts) add(text string) (first int32) {
	link := &first
	for len(text) > 0 {
		number := t.take()
		*link = number
		c := t.at(number)
		text = text[copy(c.bytes[:], text):]
		link = &c.next
	}
	return first
}

// read returns the text of a size that begins in a cell.
func (t *texts) read(number int32, size int) string {
	text := make([]byte, 0, size)
	for len(text) < size {
		c := t.at(number)
		text = append(text, c.bytes[:min(cellText, size-len(text))]...)
		number = c.next
	}
	return string(text)
}

// drop gives the cells of a text back.
func (t *texts) drop(number int32, size int) {
	for ; size > 0; size -= cellText {
		c := t.at(number)
		following := c.next
		c.next, t.vacant = t.vacant, number
		number = following
		t.used--
	}
}

// take returns the number of a cell that is not in use.
func (t *texts) take() int32 {
	t.used++
	if number := t.vacant; number != 0 {
		t.vacant = t.at(number).next
		return number
	}
	if int(t.made) == len(t.pages)*pageSize {
		t.pages = append(t.pages, new([pageSize]cell))
	}
	t.made++
	return t.made
}

func (t *texts) at(number int32) *cell { return &t.pages[(number-1)/pageSize][(number-1)%pageSize] }
