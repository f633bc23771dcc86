"""Traditional input finds Simplified names, and the other way round: both are folded before they are compared. Pure.

The pairs are facts of the Unihan database (Unicode Standard Annex 38, fields kSimplifiedVariant and kTraditionalVariant): characters that occur
in family and given names, in names of places, and in what this product says of alarms. Where one Simplified character stands for several
(后 後, 里 裡, 干 乾 幹), all of them fold to it. What isn't listed is compared as it is.
"""

import unicodedata

_PAIRS = (
    # family names
    "張张 陳陈 劉刘 楊杨 黃黄 趙赵 吳吴 孫孙 馬马 羅罗 鄭郑 謝谢 韓韩 馮冯 鄧邓 許许 蕭萧 蔣蒋 閻阎 餘余 葉叶 蘇苏 呂吕 盧卢 鍾钟 鐘钟 賈贾 範范 陸陆 譚谭 鄒邹 賴赖 龔龚 賀贺 顧顾 龍龙 萬万 錢钱 "
    "湯汤 嚴严 溫温 連连 莊庄 蘭兰 藍蓝 聶聂 齊齐 寧宁 魯鲁 歐欧 遲迟 倉仓 單单 喬乔 塗涂 岡冈 嶽岳 鄔邬 鄺邝 鍊炼 闕阙 陰阴 陽阳 雲云 項项 顏颜 饒饶 駱骆 鮑鲍 麥麦 黨党 榮荣 華华 蔔卜 衛卫 記记 "
    "談谈 諸诸 豐丰 貝贝 費费 車车 輔辅 農农 酈郦 鈕钮 錫锡 閔闵 關关 隱隐 靜静 韋韦 應应 時时 樂乐 權权 滿满 畢毕 祿禄 竇窦 紀纪 紅红 練练 繆缪 習习 聞闻 茍苟 "
    # given names
    "傑杰 偉伟 儀仪 億亿 優优 兒儿 凱凯 劍剑 勁劲 勝胜 勞劳 勳勋 勵励 區区 協协 厲厉 參参 啟启 啓启 國国 圖图 團团 堅坚 壯壮 壽寿 夢梦 奮奋 婭娅 媽妈 嫻娴 學学 孌娈 實实 寶宝 將将 專专 尋寻 對对 "
    "導导 層层 嵐岚 嶺岭 幫帮 帥帅 師师 幹干 乾干 廣广 強强 彥彦 從从 復复 複复 徵征 恆恒 悅悦 愛爱 慶庆 憲宪 懷怀 戰战 揚扬 損损 擁拥 擇择 據据 敵敌 數数 昇升 曉晓 曄晔 東东 桿杆 棟栋 業业 楓枫 "
    "構构 槍枪 樹树 橋桥 機机 歡欢 歲岁 殘残 氣气 決决 沖冲 況况 洶汹 淚泪 淨净 淵渊 準准 滄沧 漢汉 漣涟 潔洁 潤润 濤涛 濱滨 瀾澜 灝灏 灣湾 烏乌 無无 煒炜 煥焕 熱热 燈灯 營营 燦灿 爭争 爾尔 牽牵 "
    "獎奖 獨独 獻献 瑋玮 瑤瑶 瑩莹 璽玺 瓊琼 產产 畫画 當当 發发 髮发 盡尽 監监 盤盘 眾众 碩硕 礎础 禮礼 禎祯 禕祎 離离 種种 稱称 穎颖 穩稳 窮穷 競竞 筆笔 節节 簡简 粵粤 純纯 紋纹 納纳 級级 細细 "
    "紹绍 終终 組组 結结 絕绝 給给 統统 絲丝 經经 綠绿 維维 綱纲 網网 緒绪 線线 緣缘 縣县 總总 績绩 織织 繞绕 繡绣 繼继 續续 纓缨 罷罢 義义 翹翘 聖圣 聰聪 聲声 職职 聽听 肅肃 脈脉 腦脑 膽胆 臨临 "
    "臺台 颱台 與与 興兴 舊旧 艷艳 艶艳 萊莱 蓮莲 蔭荫 薦荐 藝艺 藥药 蘋苹 蘆芦 蘊蕴 虛虚 號号 蝦虾 術术 裝装 裡里 裏里 製制 規规 視视 親亲 覺觉 觀观 訊讯 訓训 託托 設设 訪访 証证 證证 評评 詩诗 "
    "詢询 話话 該该 詳详 誌志 誠诚 語语 誤误 說说 誰谁 課课 調调 諒谅 論论 諾诺 謀谋 謙谦 講讲 識识 譯译 議议 護护 譽誉 讀读 變变 讓让 貞贞 負负 財财 貢贡 貨货 質质 貴贵 買买 貿贸 賓宾 賢贤 賣卖 "
    "賽赛 贊赞 贏赢 趕赶 趨趋 跡迹 躍跃 軍军 軒轩 軟软 較较 載载 輕轻 輝辉 輪轮 輯辑 輸输 轉转 辦办 運运 過过 達达 違违 遠远 適适 選选 遺遗 邁迈 還还 邊边 邏逻 鄉乡 鄰邻 醫医 釋释 針针 釗钊 鈞钧 "
    "鈴铃 鉄铁 鋒锋 鋼钢 錄录 錦锦 錶表 鎖锁 鎮镇 鏈链 鏡镜 鐵铁 鑑鉴 鑒鉴 長长 門门 開开 間间 閣阁 閱阅 闊阔 隊队 階阶 際际 險险 隨随 雙双 雖虽 雞鸡 難难 電电 霧雾 靈灵 韻韵 響响 頁页 順顺 須须 "
    "頌颂 預预 領领 頭头 頻频 題题 額额 願愿 類类 顯显 風风 飛飞 飯饭 館馆 饋馈 駐驻 駿骏 騎骑 騰腾 驗验 驚惊 體体 魚鱼 鮮鲜 鳥鸟 鳳凤 鴻鸿 鵬鹏 鶴鹤 鷹鹰 麗丽 點点 齡龄 "
    # places, and what happens there
    "樓楼 廈厦 園园 場场 戶户 側侧 後后 內内 島岛 嶼屿 溝沟 澤泽 濟济 瀝沥 瀘泸 廟庙 廳厅 庫库 廠厂 廢废 廚厨 廁厕 爐炉 煙烟 報报 積积 澇涝 壓压 壞坏 洩泄 閥阀 蓋盖 斷断 絡络 備备 傳传 檢检 測测 "
    "換换 異异 動动 傾倾 緊紧 療疗 養养 輛辆 樁桩 攝摄 閘闸 欄栏 牆墙 屆届 陞升 屍尸 嘯啸 嚇吓 壇坛 塵尘 塊块 墳坟 墜坠 墊垫 夾夹 奪夺 妝妆 婦妇 寬宽 尷尴 屬属 幣币 廬庐 彎弯 徑径 憂忧 戲戏 擊击 "
    "擋挡 擔担 擠挤 擴扩 擺摆 攔拦 攤摊 敗败 暫暂 曬晒 條条 棄弃 槳桨 標标 樣样 橫横 櫃柜 殺杀 毀毁 滅灭 滯滞 濕湿 災灾 爛烂 狀状 猶犹 獸兽 現现 環环 瓏珑 疊叠 痠酸 瘋疯 皺皱 盜盗 確确 碼码 礙碍 "
    "禍祸 竄窜 筍笋 築筑 籃篮 籬篱 糧粮 糾纠 約约 紙纸 綜综 緩缓 編编 縮缩 繳缴 纏缠 罰罚 羈羁 聯联 腳脚 腫肿 膠胶 舖铺 鋪铺 艙舱 莖茎 蟲虫 蠟蜡 補补 褲裤 襯衬 訂订 計计 診诊 試试 詐诈 請请 誘诱 "
    "譴谴 賠赔 賬账 賭赌 贈赠 軌轨 轟轰 遞递 遷迁 遙遥 郵邮 釘钉 鈉钠 鉛铅 銀银 銅铜 銷销 錯错 鍋锅 鍵键 鑰钥 鑽钻 閃闪 閉闭 閒闲 閑闲 闆板 陣阵 隻只 雜杂 靂雳 頂顶 顆颗 顛颠 飄飘 飲饮 騙骗 驅驱 "
    "驛驿 鬆松 鬧闹 鹽盐 麵面 黴霉 齒齿 龜龟 "
    # people, and what else is written of them and of their streets
    "員员 處处 個个 們们 這这 來来 會会 沒没 進进 問问 為为 於于 爺爷 鞏巩 龐庞 顓颛 晉晋 陝陕 潯浔 瀋沈 遼辽 滬沪 贛赣 閩闽 濰潍 棗枣 蕪芜 巖岩 貓猫 圍围 舉举 歸归 礦矿 絨绒 蓀荪 薩萨 衆众 隴陇 僑侨 偵侦 債债 儲储 凍冻 別别 勢势 匯汇 卻却 叢丛 喚唤 喪丧 "
    "嗎吗 嘗尝 噸吨 囑嘱 圓圆 執执 墻墙 壘垒 聾聋 啞哑 殯殡 懸悬 懼惧 拋抛 摟搂 撲扑 撿捡 晝昼 書书 檔档 櫥橱 氫氢 滲渗 漁渔 澆浇 犧牺 癢痒 癱瘫 瞞瞒 矯矫 繪绘 膿脓 臉脸 蠻蛮 見见 詞词 貧贫 軋轧 辭辞 鈔钞 鎢钨 鏟铲 鐮镰 閂闩 闖闯 霽霁 顎颚 餓饿 駛驶 髒脏 "
    "鬥斗 鬱郁 "
)

_TABLE = str.maketrans({pair[0]: pair[1] for pair in _PAIRS.split()})
_BACK = str.maketrans({pair[1]: pair[0] for pair in reversed(_PAIRS.split())})
"""The first Traditional one that is listed for each."""


def folded(text: str) -> str:
    """As texts are compared: Simplified, no difference of width or case, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().translate(_TABLE).split())


def found_in(sought: str, *texts: str) -> bool:
    """Whether each word that is sought stands in one of the texts."""
    ground = [folded(text) for text in texts]
    return all(any(word in text for text in ground) for word in folded(sought).split())


def spellings(text: str) -> tuple[str, ...]:
    """A text as it is, all Simplified and all Traditional, for a database, which folds nothing."""
    plain = unicodedata.normalize("NFKC", text)
    return tuple(dict.fromkeys((text, plain, plain.translate(_TABLE), plain.translate(_BACK))))
