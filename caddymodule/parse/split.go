package parse

import "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

// Split reads the block that follows: our own options by the functions given. It gathers all other options under a
// name, for a Caddy or guest module to read.
func Split(d *caddyfile.Dispenser, name string, own Options) (*caddyfile.Dispenser, error) {
	head := d.Token()
	head.Text = name
	tokens := []caddyfile.Token{head}
	open, last := head, head
	open.Text = "{"
	tokens = append(tokens, open)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if read := own[d.Val()]; read != nil {
			if err := read(d); err != nil {
				return nil, err
			}
			continue
		}
		segment := d.NextSegment()
		tokens = append(tokens, segment...)
		last = segment[len(segment)-1]
	}
	if len(tokens) == 2 {
		return caddyfile.NewDispenser(tokens[:1]), nil
	}
	last.Text = "}"
	return caddyfile.NewDispenser(append(tokens, onNextLine(last))), nil
}

// onNextLine moves a token to a line of its own, as a closing brace must be.
func onNextLine(token caddyfile.Token) caddyfile.Token {
	token.Line++
	return token
}
