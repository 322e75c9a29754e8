package httpd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// certificates hands out the certificate of a pair of files and reads them again when they change, so that a renewal
// needs no restart.
type certificates struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	cert    os.FileInfo // as the files were when last read
	key     os.FileInfo
}

// loadCertificates reads the pair for the first time.
func loadCertificates(certFile, keyFile string, log *slog.Logger) (*certificates, error) {
	c := &certificates{certFile: certFile, keyFile: keyFile, log: log}
	if _, err := c.refresh(); err != nil {
		return nil, err
	}
	return c, nil
}

// get is the hook of tls.Config. A pair that cannot be read is reported once, and the one before it stays in use:
// during a renewal the files match again a moment later.
func (c *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed, err := c.refresh()
	if err != nil {
		c.log.LogAttrs(hello.Context(), slog.LevelError, "httpd: keeping the certificate in use",
			slog.String("error", err.Error()))
	} else if changed {
		c.log.LogAttrs(hello.Context(), slog.LevelInfo, "httpd: certificate read again",
			slog.Time("not_after", c.current.Leaf.NotAfter))
	}
	return c.current, nil
}

// refresh reads the pair if either file is another than last time. What it saw is remembered even if it is no pair,
// so that a broken one is tried and reported once and not at every handshake.
func (c *certificates) refresh() (changed bool, err error) {
	cert, err := os.Stat(c.certFile)
	if err != nil {
		return false, c.vanished(&c.cert, err)
	}
	key, err := os.Stat(c.keyFile)
	if err != nil {
		return false, c.vanished(&c.key, err)
	}
	if sameFile(cert, c.cert) && sameFile(key, c.key) {
		return false, nil
	}
	c.cert, c.key = cert, key
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return false, fmt.Errorf("httpd: certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	c.current = &pair
	return true, nil
}

// vanished reports a missing file the first time only.
func (c *certificates) vanished(seen *os.FileInfo, err error) error {
	if *seen == nil && c.current != nil {
		return nil
	}
	*seen = nil
	return fmt.Errorf("httpd: certificate: %w", err)
}

func sameFile(a, b os.FileInfo) bool {
	return b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// SelfSigned makes a certificate and its key as PEM, good for the given host names and IP addresses from notBefore for
// as long as valid says. No client trusts it unless told to: it is for trials and tests.
func SelfSigned(hosts []string, notBefore time.Time, valid time.Duration) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("httpd: self-signed certificate: %w", err)
	}
	// SerialNumber is left nil: the standard library then draws a random one.
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Perennial (self-signed)"},
		NotBefore:             notBefore,
		NotAfter:              notBefore.Add(valid),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, fmt.Errorf("httpd: self-signed certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("httpd: self-signed certificate: %w", err)
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	return cert, key, nil
}
