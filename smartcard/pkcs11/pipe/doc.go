// Package pipe is the protocol between the PKCS#11 agent and the child process that loads the vendor's module: frames
// on the child's standard input and output, one reply per request, in order. The agent waits for each reply before it
// sends more, except that one Sign may be sent while another is in progress.
//
//	frame = length of all that follows (4 bytes, big-endian) · verb (1) · length of head (4) · head (JSON) · raw
//
//	child:  Hello                                 once, when the module is loaded, or Failed
//	agent:  List              → Cards             what is in the readers; needs no PIN
//	        Begin, raw = PIN  → Begun             one card, one key, logged in
//	        Sign, raw = text  → raw = signature   as often as there are items; all fail once one has
//	        End               → Done              logged out
//
// Any request may be answered by Failed. Anything secret or large travels in raw, never in the JSON: a frame's bytes
// can be wiped, a string cannot. The child ends when its standard input does.
package pipe
