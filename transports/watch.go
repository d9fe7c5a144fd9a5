package transports

import (
	"errors"
	"io"
	"strings"
)

// watch looks at one stream for prompts and failures.
type watch struct {
	c    *conversation
	only bool // only for those that are looked for anywhere: this is stdout, and there is a side
}

// look judges what the scanner has found: a whole line, or a longer unfinished one.
func (w *watch) look(s *scanner, line []byte, ended bool) {
	switch {
	case w.c.isUp():
		if ended {
			w.c.keep(line, !w.only)
		}
	case ended:
		if !s.leftover(line) {
			w.c.keep(line, !w.only)
			w.failure(line, false)
		}
	case len(s.partial) > 0 && !w.failure(s.window(), true):
		w.prompt(s)
	}
}

// flush keeps what stands at the end of a stream without a newline.
func (w *watch) flush(s *scanner) {
	if len(s.partial) == 0 {
		return
	}
	line := s.partial
	w.c.keep(line, !w.only)
	if !w.c.isUp() {
		w.failure(line, false)
	}
}

// failure reports the first failure that fits, and says whether there is one.
func (w *watch) failure(line []byte, partial bool) bool {
	for _, f := range w.c.script.Failures {
		if w.only && !f.Anywhere || partial && !f.Partial || !f.Pattern.Match(line) {
			continue
		}
		text, shown := f.Text, w.c.mask.readable(line)
		if f.Explain != nil {
			if text = f.Explain(string(line), w.c.answered); text == "" {
				continue
			}
			text = strings.ReplaceAll(text, string(line), shown)
		}
		if text == "" {
			text = shown
		}
		w.c.fails(text, nil)
		return true
	}
	return false
}

// prompt answers the prompt that the unfinished line ends in, if it is one.
func (w *watch) prompt(s *scanner) {
	end := s.window()
	for _, p := range w.c.script.Prompts {
		if w.only && !p.Anywhere || !p.Pattern.Match(end) || p.Unless != nil && p.Unless.Match(end) {
			continue
		}
		w.c.keep(s.partial, !w.only)
		s.take()
		w.c.answer(p)
		return
	}
}

// answered says whether a prompt has been answered already.
func (c *conversation) answered(prompt string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[prompt]
}

// answer types the answer to p, once.
func (c *conversation) answer(p Prompt) {
	switch c.mayAnswer(p) {
	case askedLate:
	case askedAgain:
		c.fails(p.Again, nil)
	case askedInVain:
		c.fails(p.Required, nil)
	case askedFirst:
		var to io.Writer = c.link
		if side := c.link.Side(); side != nil && !c.typeIn {
			to = side
		}
		// On its own, since a far end that does not read must not keep us from reading.
		c.pump(func() {
			defer c.writers.Done()
			typed := append([]byte(p.Answer.Reveal()), '\n')
			_, err := to.Write(typed)
			clear(typed)
			if errors.Is(err, errors.ErrUnsupported) {
				c.fails("The answer to a prompt for a "+p.Name+" cannot be typed: there is no terminal.", err)
			}
		})
	}
}

type asked int

const (
	askedFirst  asked = iota // answer it, and call writers.Done
	askedAgain               // the answer was wrong
	askedInVain              // there is no answer
	askedLate                // the agent is up: whatever it was, it was no prompt
)

// mayAnswer decides about a prompt and notes it, in one step: the other stream may bring one, or the marker, right now.
func (c *conversation) mayAnswer(p Prompt) asked {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.up:
		return askedLate
	case c.asked[p.Name]:
		return askedAgain
	case !p.Answer.IsSet():
		return askedInVain
	}
	c.asked[p.Name] = true
	c.writers.Add(1)
	return askedFirst
}
