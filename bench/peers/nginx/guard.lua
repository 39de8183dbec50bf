-- Stripe's webhooks through nginx, with what Webhook Guard does: the signature over
-- the raw body, freshness, each event once, and the app behind it.
--
-- Fairness. nginx is as well tuned as we know how: one worker per CPU, each with its
-- own listener, connections to the app and to Redis kept open, the body in one piece
-- of memory, and libcrypto called directly with a context whose key is set up once per
-- worker. It is a gateway like the guard, so it makes the same hop. Each event costs
-- two commands on Redis: a claim before the app is called and a mark after it has
-- answered, before the sender's answer. What it does not do, and the guard does: renew
-- the claim of an app that takes long, fence a mark or a release that comes late, finish
-- the work of a sender that hangs up, wait for the outcome of a copy that is being
-- handled, bound the memory of bodies over all requests, count metrics, know any other
-- sender.
local cjson = require "cjson"
local ffi = require "ffi"
local redis = require "nginx.redis" -- lua-resty-redis, under Debian's name

ffi.cdef [[
typedef struct evp_md_st EVP_MD;
typedef struct engine_st ENGINE;
typedef struct hmac_ctx_st HMAC_CTX;
const EVP_MD *EVP_sha256(void);
HMAC_CTX *HMAC_CTX_new(void);
int HMAC_Init_ex(HMAC_CTX *ctx, const void *key, int len, const EVP_MD *md, ENGINE *impl);
int HMAC_Update(HMAC_CTX *ctx, const unsigned char *data, size_t len);
int HMAC_Final(HMAC_CTX *ctx, unsigned char *md, unsigned int *len);
int CRYPTO_memcmp(const void *a, const void *b, size_t len);
unsigned char *ngx_hex_dump(unsigned char *dst, const unsigned char *src, size_t len);
]]
local C = ffi.C

local TOLERANCE = 300 -- seconds
local LEASE = 10000 -- ms
local REMEMBER = 96 * 3600 * 1000 -- ms: Stripe retries for three days

local _M = {}
local ctx, redis_host, redis_port
local digest, length, hex = ffi.new("unsigned char[32]"), ffi.new("unsigned int[1]"), ffi.new("unsigned char[64]")

function _M.init(host, port)
	redis_host, redis_port = host, port
	local secret = os.getenv("STRIPE_SECRET")
	ctx = C.HMAC_CTX_new()
	assert(C.HMAC_Init_ex(ctx, secret, #secret, C.EVP_sha256(), nil) == 1)
end

-- genuine checks the header t=<seconds>,v1=<hex>.
local function genuine(body, header)
	local stamp = ngx.re.match(header, [[(?:^|,)t=(\d+)(?:,|$)]], "jo")
	local given = ngx.re.match(header, [[(?:^|,)v1=([0-9a-f]{64})(?:,|$)]], "jo")
	if not stamp or not given or math.abs(ngx.time() - tonumber(stamp[1])) > TOLERANCE then
		return false
	end
	local prefix = stamp[1] .. "."
	C.HMAC_Init_ex(ctx, nil, 0, nil, nil) -- from the key that is set up
	C.HMAC_Update(ctx, prefix, #prefix)
	C.HMAC_Update(ctx, body, #body)
	C.HMAC_Final(ctx, digest, length)
	C.ngx_hex_dump(hex, digest, 32)
	return C.CRYPTO_memcmp(hex, given[1], 64) == 0
end

local function answer(status, text)
	ngx.status = status
	ngx.header["Content-Length"] = #text
	ngx.print(text)
end

local function connect()
	local store = redis:new()
	store:set_timeout(500)
	local ok, err = store:connect(redis_host, redis_port)
	if not ok then
		return nil, err
	end
	return store
end

local function keep(store)
	store:set_keepalive(60000, 1024)
end

function _M.stripe()
	ngx.req.read_body()
	local body = ngx.req.get_body_data() or ""
	if not genuine(body, ngx.var.http_stripe_signature or "") then
		return answer(401, "signature")
	end
	local ok, event = pcall(cjson.decode, body)
	if not ok or type(event) ~= "table" or type(event.id) ~= "string" then
		return answer(400, "no event")
	end
	local store = connect()
	if not store then
		return answer(503, "store")
	end
	local key = "stripe:" .. event.id
	local claimed, err = store:set(key, ngx.var.request_id, "NX", "PX", LEASE)
	if err then
		return answer(503, "store")
	end
	if claimed == ngx.null then
		local state = store:get(key)
		keep(store)
		if state == "done" then
			return answer(200, "duplicate")
		end
		return answer(503, "in flight")
	end

	local app = ngx.location.capture("/app", { method = ngx.HTTP_POST, always_forward_body = true })
	local success = app.status >= 200 and app.status < 300 and not app.truncated
	if success then
		store:set(key, "done", "PX", REMEMBER)
	else
		store:del(key)
	end
	keep(store)
	answer(app.truncated and 502 or app.status, app.body)
end

return _M
