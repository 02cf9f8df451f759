package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"time"

	"github.com/go-jose/go-jose/v4"
)

var (
	begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	end   = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
)

// key is a private key, or the secret of an HMAC, under the id that the JWKS gives it.
type key struct {
	id      string
	private any
}

func (k key) public() any {
	if signer, ok := k.private.(crypto.Signer); ok {
		return signer.Public()
	}
	return k.private
}

func rsaKey() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) }

func ecKey(curve elliptic.Curve) *ecdsa.PrivateKey {
	return must(ecdsa.GenerateKey(curve, rand.Reader))
}

// keyRing makes a key for every algorithm that distribution knows.
func keyRing() map[string]key {
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	check(err)
	secret := make([]byte, 64)
	must(rand.Read(secret))
	rsa, oct := key{"rsa", rsaKey()}, key{"secret", secret}
	return map[string]key{
		"RS256": rsa, "RS384": rsa, "RS512": rsa,
		"PS256": rsa, "PS384": rsa, "PS512": rsa,
		"ES256": {"p256", ecKey(elliptic.P256())},
		"ES384": {"p384", ecKey(elliptic.P384())},
		"ES512": {"p521", ecKey(elliptic.P521())},
		"EdDSA": {"ed25519", edwards},
		"HS256": oct, "HS384": oct, "HS512": oct,
	}
}

func publicSet(ring map[string]key) jose.JSONWebKeySet {
	var set jose.JSONWebKeySet
	seen := map[string]bool{}
	for _, algorithm := range algorithms {
		if k := ring[algorithm]; !seen[k.id] {
			seen[k.id] = true
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.public(), KeyID: k.id, Use: "sig"})
		}
	}
	return set
}

// authority is a certificate with its key.
type authority struct {
	certificate *x509.Certificate
	private     crypto.Signer
}

// issue makes a certificate; without an issuer it signs itself.
func issue(serial int64, name string, private crypto.Signer, issuer *authority, ca bool) authority {
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(serial),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             begin,
		NotAfter:              end,
		BasicConstraintsValid: true,
		IsCA:                  ca,
		KeyUsage:              x509.KeyUsageDigitalSignature,
	}
	if ca {
		template.KeyUsage = x509.KeyUsageCertSign
	}
	parent, signer := template, private
	if issuer != nil {
		parent, signer = issuer.certificate, issuer.private
	}
	der := must(x509.CreateCertificate(rand.Reader, template, parent, private.Public(), signer))
	return authority{must(x509.ParseCertificate(der)), private}
}

// chain returns the value of x5c.
func chain(authorities ...authority) []string {
	var found []string
	for _, each := range authorities {
		found = append(found, base64.StdEncoding.EncodeToString(each.certificate.Raw))
	}
	return found
}

func bundle(authorities ...authority) string {
	var text []byte
	for _, each := range authorities {
		block := &pem.Block{Type: "CERTIFICATE", Bytes: each.certificate.Raw}
		text = append(text, pem.EncodeToMemory(block)...)
	}
	return string(text)
}
