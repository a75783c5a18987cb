/* A security key made of software, as OpenSSH loads it by SecurityKeyProvider (its sk-api.h and PROTOCOL.u2f). For tests
   alone: it keeps nothing, the handle of a key is the private key itself. SOFTWARE_TOKEN_UNTOUCHED in the environment
   makes it sign as if nobody had touched it. */
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ECDSA = 0, ED25519 = 1, PRESENT = 1, FAILED = -1, UNSUPPORTED = -2 };

struct sk_option;
struct sk_resident_key;

struct sk_enroll_response {
  uint8_t flags;
  uint8_t *public_key;
  size_t public_key_len;
  uint8_t *key_handle;
  size_t key_handle_len;
  uint8_t *signature;
  size_t signature_len;
  uint8_t *attestation_cert;
  size_t attestation_cert_len;
  uint8_t *authdata;
  size_t authdata_len;
};

struct sk_sign_response {
  uint8_t flags;
  uint32_t counter;
  uint8_t *sig_r;
  size_t sig_r_len;
  uint8_t *sig_s;
  size_t sig_s_len;
};

/* The version that OpenSSH 8.9 to 10 ask for. */
uint32_t sk_api_version(void) { return 0x000a0000; }

/* OpenSSH gives back with free() what it is handed. */
static uint8_t *copy(const void *bytes, size_t length) {
  uint8_t *made = malloc(length);
  if (made != NULL) memcpy(made, bytes, length);
  return made;
}

int sk_enroll(uint32_t alg, const uint8_t *challenge, size_t challenge_len, const char *application, uint8_t flags,
              const char *pin, struct sk_option **options, struct sk_enroll_response **answer) {
  (void)challenge, (void)challenge_len, (void)application, (void)pin, (void)options;
  if (alg != ECDSA && alg != ED25519) return UNSUPPORTED;
  EVP_PKEY *key = alg == ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
  struct sk_enroll_response *made = calloc(1, sizeof *made);
  uint8_t *handle = NULL, public_key[65];
  size_t public_length = sizeof public_key;
  int handle_length = key == NULL ? -1 : i2d_PrivateKey(key, &handle);
  int has_public = key != NULL && EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, public_key,
                                                                  sizeof public_key, &public_length);
  EVP_PKEY_free(key);
  if (made == NULL || handle_length < 0 || !has_public) return FAILED;
  made->flags = flags;
  made->public_key = copy(public_key, public_length);
  made->public_key_len = public_length;
  made->key_handle = copy(handle, handle_length);
  made->key_handle_len = handle_length;
  OPENSSL_free(handle);
  *answer = made;
  return 0;
}

/* What is signed: hash of the application, flags, counter, hash of the data (PROTOCOL.u2f). */
static size_t make_frame(uint8_t *frame, const char *application, const struct sk_sign_response *by,
                         const uint8_t *data, size_t data_len) {
  EVP_Digest(application, strlen(application), frame, NULL, EVP_sha256(), NULL);
  frame[32] = by->flags;
  for (int at = 0; at < 4; at++) frame[33 + at] = (uint8_t)(by->counter >> (24 - 8 * at));
  EVP_Digest(data, data_len, frame + 37, NULL, EVP_sha256(), NULL);
  return 69;
}

static int put_number(const BIGNUM *number, uint8_t **into, size_t *length) {
  *length = BN_num_bytes(number);
  *into = malloc(*length);
  return *into != NULL && BN_bn2bin(number, *into) == (int)*length;
}

int sk_sign(uint32_t alg, const uint8_t *data, size_t data_len, const char *application, const uint8_t *key_handle,
            size_t key_handle_len, uint8_t flags, const char *pin, struct sk_option **options,
            struct sk_sign_response **answer) {
  (void)pin, (void)options;
  const uint8_t *at = key_handle;
  EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)key_handle_len);
  struct sk_sign_response *made = calloc(1, sizeof *made);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  if (key == NULL || made == NULL || context == NULL) return FAILED;
  made->flags = getenv("SOFTWARE_TOKEN_UNTOUCHED") == NULL ? flags : flags & ~PRESENT;
  made->counter = 0x01020304;
  uint8_t frame[69], signature[128];
  size_t frame_length = make_frame(frame, application, made, data, data_len), length = sizeof signature;
  int holds = EVP_DigestSignInit(context, NULL, alg == ED25519 ? NULL : EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestSign(context, signature, &length, frame, frame_length) == 1;
  if (holds && alg == ED25519) {
    made->sig_r = copy(signature, length);
    made->sig_r_len = length;
  } else if (holds) {
    const uint8_t *from = signature;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &from, (long)length);
    holds = pair != NULL && put_number(ECDSA_SIG_get0_r(pair), &made->sig_r, &made->sig_r_len) &&
            put_number(ECDSA_SIG_get0_s(pair), &made->sig_s, &made->sig_s_len);
    ECDSA_SIG_free(pair);
  }
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
  if (!holds) return FAILED;
  *answer = made;
  return 0;
}

int sk_load_resident_keys(const char *pin, struct sk_option **options, struct sk_resident_key ***keys, size_t *count) {
  (void)pin, (void)options, (void)keys, (void)count;
  return UNSUPPORTED;
}
