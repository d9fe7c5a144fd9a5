package become

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"spindle/transports"
)

const (
	// prompt is the name of the one question there is.
	prompt = "password"
	// shown is how many of the last lines a text has.
	shown = 10
	// unfinishedMax is how much of the end of an unfinished line.
	unfinishedMax = 1 << 10
)

// Conversation is what programs that change the account have in common: they may ask for a password once, and a second
// time if it was wrong, or say so, or end.
type Conversation struct {
	// Tool is the program's name, for "su password is incorrect".
	Tool string
	// Password is the answer.
	Password transports.Secret
	// Timeout covers the dial.
	Timeout time.Duration
	// Prompts are the questions, at the end of an unfinished line. Unless, if not nil, is a reason not to answer yet.
	Prompts []*regexp.Regexp
	Unless  *regexp.Regexp
	// Wrong are lines that follow a wrong password. Before any was typed they are failures of their own, or nothing if
	// Others may have been asked: a token, a finger.
	Wrong  *regexp.Regexp
	Others bool
	// Missing are lines that say that a password is needed where none was typed, and that it was wrong otherwise.
	Missing *regexp.Regexp
	// Refused are lines after which nothing will come.
	Refused *regexp.Regexp
	// Silent decides about a program that failed after the password was typed, and said nothing that is known: whether
	// what it did say means that it was wrong. That may be in any language, or nothing, which a shell that lets nobody in says, too.
	Silent func(said []string) bool
}

// Plan is the dial that starts command, which has the program in its argv already, and has the conversation.
func (c Conversation) Plan(command transports.Command) transports.Plan {
	last := new(unfinished)
	return transports.Plan{Command: command, Script: c.script(last), How: c.Tool, Explain: func(err error) error {
		var ce *transports.ConnectError
		if errors.As(err, &ce) {
			c.explain(ce, last)
		}
		return err
	}}
}

// explain gives an error the text that only the whole conversation shows.
func (c Conversation) explain(ce *transports.ConnectError, last *unfinished) {
	var exit *transports.ExitError
	switch {
	case ce.Text == transports.TextTimeout:
		ce.Text += c.lastWords(ce, last)
	case errors.As(ce.Err, &exit) && exit.Code > 0 && exit.Code < 126 && strings.HasPrefix(ce.Text, transports.TextEOF) && c.Silent != nil:
		if said, typed := c.behindPrompt(ce.Lines); typed && c.Silent(said) {
			ce.Text = c.incorrect()
			if len(said) > 0 {
				ce.Text += " (" + said[len(said)-1] + ")"
			} else {
				ce.Text += ", or the account's shell ended without a word"
			}
		}
	}
}

func (c Conversation) incorrect() string { return c.Tool + " password is incorrect" }
func (c Conversation) required() string  { return c.Tool + " password is required" }

func (c Conversation) script(last *unfinished) transports.Script {
	s := transports.Script{Class: transports.BecomeFailed, Timeout: c.Timeout}
	for _, p := range c.Prompts {
		s.Prompts = append(s.Prompts, transports.Prompt{
			Name: prompt, Pattern: p, Unless: c.Unless, Answer: c.Password, Required: c.required(), Again: c.incorrect(),
		})
	}
	s.Failures = []transports.Failure{{Pattern: anything, Partial: true, Explain: last.look}}
	add := func(p *regexp.Regexp, text func(line string, typed bool) string) {
		if p == nil {
			return
		}
		s.Failures = append(s.Failures, transports.Failure{Pattern: p, Explain: func(line string, answered func(string) bool) string {
			return text(line, answered(prompt))
		}})
	}
	add(c.Missing, func(_ string, typed bool) string {
		if typed {
			return c.incorrect()
		}
		return c.required()
	})
	add(c.Wrong, func(line string, typed bool) string {
		switch {
		case typed:
			return c.incorrect()
		case c.Others:
			return ""
		}
		return line
	})
	add(c.Refused, func(line string, _ bool) string { return line })
	return s
}

// behindPrompt returns the lines that came behind the prompt, and whether there was one that was answered.
func (c Conversation) behindPrompt(lines []string) (said []string, typed bool) {
	if !c.Password.IsSet() {
		return nil, false
	}
	for i := len(lines) - 1; i >= 0; i-- {
		for _, p := range c.Prompts {
			if p.MatchString(lines[i]) {
				slices.Reverse(said)
				return said, true
			}
		}
		if line := strings.TrimSpace(lines[i]); line != "" {
			said = append(said, line)
		}
	}
	return nil, false
}

// lastWords is what to add to the text of a dial that ran into its deadline.
func (c Conversation) lastWords(ce *transports.ConnectError, last *unfinished) string {
	lines := ce.Lines
	if text := c.printable(last.line); text != "" && (len(lines) == 0 || letters(text) != letters(lines[len(lines)-1])) {
		lines = append(lines[:len(lines):len(lines)], text)
		ce.Lines = lines
	}
	if len(lines) == 0 {
		return ""
	}
	return " Last lines received from " + c.Tool + ":\n" + strings.Join(lines[max(0, len(lines)-shown):], "\n")
}

// printable makes an unfinished line fit for a text, and empty if it is a prompt, since those are among the lines already.
func (c Conversation) printable(line string) string {
	for _, p := range c.Prompts {
		if p.MatchString(line) {
			return ""
		}
	}
	if s := c.Password.Reveal(); s != "" {
		line = strings.ReplaceAll(line, s, c.Password.String())
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, line))
}

// letters is what lines are compared by: among those that are kept, others have been made readable.
func letters(line string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, line)
}

var anything = regexp.MustCompile(`\S`)

// unfinished remembers the line that was looked at last: at the deadline, that is what the program waits behind. It is
// looked at as a failure that is none. One goroutine does so, and has ended when the line is asked for; so a plan is
// for one dial.
type unfinished struct{ line string }

func (u *unfinished) look(line string, _ func(string) bool) string {
	u.line = line[max(0, len(line)-unfinishedMax):]
	return ""
}
