package caddymodule

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// check refuses what the environment does not allow, and invalid options.
func (s *SigningService) check() error {
	if err := s.Environment.Check(); err != nil {
		return err
	}
	if err := checkAccept(s.Accept, siteAccepts()...); err != nil {
		return err
	}
	s.PublicURL = strings.TrimSuffix(s.PublicURL, "/")
	if err := s.Environment.checkPublicURL(s.PublicURL); err != nil {
		return err
	}
	if s.Access != "open" && s.Access != "bearer" {
		return fmt.Errorf("unknown access %q: use access bearer, or access open for loopback and the sandbox", s.Access)
	}
	if s.Environment == Sandbox {
		s.warnOfSandbox()
		return nil
	}
	if err := s.Display.check(s); err != nil {
		return err
	}
	if s.Mock == nil && len(s.Agents) == 0 {
		return errors.New("no smartcard agent configured: add agent <url>, or outside production mock <url>")
	}
	if !s.Certificates.TrustMock && len(s.Certificates.Issuers) == 0 {
		return errors.New("no issuer is trusted, so no signature could be released: add certificates { trust mock } or { trust_pool file <pem file> }")
	}
	if err := s.Certificates.check(); err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	if err := s.checkTimes(); err != nil {
		return err
	}
	if err := s.checkAgents(); err != nil {
		return err
	}
	if err := s.judge(); err != nil {
		return err
	}
	return s.checkUser()
}

// judge applies the production rules to the site: all rules to what it shares with other sites, its own to the rest.
func (s *SigningService) judge() error {
	if s.Mock != nil {
		if err := s.app.Forbid(Risk{RuleStandIn, "mock " + s.Mock.URL}); err != nil {
			return err
		}
	}
	if s.Certificates.TrustMock {
		if err := s.app.Forbid(Risk{RuleStandIn, "trust mock"}); err != nil {
			return err
		}
	}
	if s.Access == "open" {
		if err := s.app.Forbid(Risk{RuleOpenAccess, "access open"}); err != nil {
			return err
		}
	}
	if skew := time.Duration(s.ClockSkew); skew > skewMost {
		return s.Environment.Forbid(s.Accept, Risk{RuleClockSkew, fmt.Sprintf("clock_skew %s", skew)})
	}
	if len(s.Accept) > 0 {
		s.app.logger.Warn("accept waives a rule that this configuration does not break: remove the word", "word", RuleClockSkew, "site", s.PublicURL)
	}
	return nil
}

// skewMost is the largest clock_skew in production without a waiver.
const skewMost = 5 * time.Minute

// The maximum durations of a session.
const (
	signMost    = 7 * 24 * time.Hour
	resultMost  = 30 * 24 * time.Hour
	leaseMost   = 10 * time.Minute
	skewEver    = 24 * time.Hour
	timeoutMost = time.Hour
	idleMost    = 15 * time.Minute
	triesMost   = 1000
	signDefault = 30 * time.Minute // of sign_within
	jobDefault  = 5 * time.Minute  // of an agent's timeout
)

// checkTimes refuses durations of a session that contradict each other or are out of range.
func (s *SigningService) checkTimes() error {
	if err := CheckLimits(
		Limit{"sign_within", s.SignWithin, signMost, "the payloads are kept while the session waits for the person"},
		Limit{"keep_result", s.KeepResult, resultMost, "a session is no archive"},
		Limit{"lease", s.Lease, leaseMost, "no other node takes over a dead node's session before then"},
		Limit{"clock_skew", s.ClockSkew, skewEver, "no clock is that wrong"},
	); err != nil {
		return err
	}
	sign := time.Duration(s.SignWithin)
	if sign == 0 {
		sign = signDefault
	}
	if lease := time.Duration(s.Lease); lease > sign {
		return fmt.Errorf("lease %s is longer than sign_within %s, so the session of a dead node would expire before another node takes it over: make lease shorter, such as 30s", lease, sign)
	}
	return CheckCount("tries", int64(s.Tries), triesMost)
}

// checkAgents refuses agents with contradictory options, and duplicates.
func (s *SigningService) checkAgents() error {
	for i, agent := range append(slices.Clone(s.Agents), s.Mock) {
		if agent == nil && i < len(s.Agents) {
			return errors.New("an agent has no address: add its url")
		}
		if agent == nil {
			continue
		}
		if err := agent.checkOptions(); err != nil {
			return fmt.Errorf("agent %s: %w", agent.URL, err)
		}
		same := func(other *AgentClient) bool { return other.URL == agent.URL && slices.Equal(other.Users, agent.Users) }
		if i < len(s.Agents) && slices.ContainsFunc(s.Agents[:i], same) {
			return fmt.Errorf("agent %s is configured twice for the same users: remove one", agent.URL)
		}
	}
	return nil
}

// checkOptions refuses an agent's invalid users and durations.
func (a *AgentClient) checkOptions() error {
	if err := CheckUsers("users", a.Users); err != nil {
		return err
	}
	if err := CheckLimits(
		Limit{"timeout", a.Timeout, timeoutMost, "a person waits for the job"},
		Limit{"idle", a.Idle, idleMost, "a person waits while the agent is silent"},
	); err != nil {
		return err
	}
	timeout := time.Duration(a.Timeout)
	if timeout == 0 {
		timeout = jobDefault
	}
	if idle := time.Duration(a.Idle); idle > timeout {
		return fmt.Errorf("idle %s is longer than timeout %s, which ends the job first: make idle shorter or timeout longer", idle, timeout)
	}
	if a.ownMachine() && (a.Idle != 0 || a.Transport != nil) {
		return errors.New("idle and transport have no effect on an agent that the page drives: remove them")
	}
	return nil
}

// warnOfSandbox logs the options that have no effect in the sandbox, which answers from canned scenarios.
func (s *SigningService) warnOfSandbox() {
	var idle []string
	for _, option := range []struct {
		name  string
		value any
	}{
		{"user", s.User}, {"level", s.Level}, {"sign_in", s.SignIn}, {"agent", len(s.Agents)}, {"mock", s.Mock}, {"certificates", s.Certificates},
		{"sign_within", s.SignWithin}, {"keep_result", s.KeepResult}, {"lease", s.Lease}, {"clock_skew", s.ClockSkew}, {"tries", s.Tries},
		{"once", s.Once}, {"accept", len(s.Accept)},
	} {
		if !reflect.ValueOf(option.value).IsZero() {
			idle = append(idle, option.name)
		}
	}
	if len(idle) > 0 {
		s.app.logger.Warn("environment sandbox answers from canned scenarios, so options of signing_service have no effect", "site", s.PublicURL, "options", idle)
	}
}
